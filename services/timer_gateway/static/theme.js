// Sets the chosen theme before the page is drawn, so that a dark page does not flash white.
{
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // a browser that keeps nothing has the system's theme
  }
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}
