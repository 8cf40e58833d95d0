// Node.js without packages: follows what happens to timers, over HTTP, as a browser's `EventSource` would.
//
//     node follow.mjs [PREFIX]
//
// Needs the gateway (`make web`) at GATEWAY_URL, by default http://127.0.0.1:8080, with GATEWAY_TOKEN where it asks
// for one. It prints
//
//     listening
//     order/42 started
//     order/42 fired
//
// until Ctrl-C. A connection that breaks, or says nothing for a while, is made again after the last message: no event is
// missed, and none comes twice.

import { setTimeout as pause } from "node:timers/promises"

const GATEWAY = process.env.GATEWAY_URL || "http://127.0.0.1:8080"
const TOKEN = process.env.GATEWAY_TOKEN
const SILENCE_MS = 15_000 // there is a beat every 5 s

class Refused extends Error {}

// The messages of an event stream, without end. Throws where the gateway says that it is no use to come back.
async function* follow(path) {
  let retryMs = 1_000
  let last
  for (;;) {
    const silence = new AbortController()
    const watch = setTimeout(() => silence.abort(), SILENCE_MS)
    try {
      const headers = { ...(TOKEN && { Authorization: `Bearer ${TOKEN}` }), ...(last && { "Last-Event-ID": last }) }
      const response = await fetch(GATEWAY + path, { headers, signal: silence.signal })
      if (response.status >= 400 && response.status < 500) throw new Refused((await response.json()).detail)
      let text = ""
      for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
        watch.refresh()
        const blocks = (text + part).split("\n\n")
        text = blocks.pop()
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/, 2)))
          if (fields.retry) retryMs = Number(fields.retry)
          if (fields.data) yield { event: fields.event ?? "message", data: JSON.parse(fields.data) }
          last = fields.id ?? last // once it was taken
        }
      }
    } catch (error) {
      if (error instanceof Refused) throw error
      console.error(`not connected: ${error.cause?.message ?? error.message}`)
    } finally {
      clearTimeout(watch)
    }
    await pause(retryMs * (1 + Math.random() / 2))
  }
}

let isHeard = false
for await (const { event, data } of follow(`/events?prefix=${encodeURIComponent(process.argv[2] ?? "")}`)) {
  if (event === "message") console.log(`${data.timer.id} ${data.kind}`)
  else if (event !== "beat") console.log(event, JSON.stringify(data)) // "away": no server answers; "truncated": events are gone
  else if (!isHeard) console.log("listening")
  isHeard = event !== "away"
}
