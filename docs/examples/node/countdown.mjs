// Node.js with the package `zeromq`: a countdown that survives a server which is away for a while.
//
//     npm install
//     node countdown.mjs [SECONDS]
//
// starts a timer, waits for its end, and prints
//
//     019c1f0e-5a3d-7c1e-8d0f-2b7c8a4e9f10 runs for 2.5 s
//     019c1f0e-5a3d-7c1e-8d0f-2b7c8a4e9f10 has fired
//
// Written after PROTOCOL.md alone: section 14 says what may be sent again, section 15 which options a socket needs.

import { randomUUID } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import { Request } from "zeromq"

const SERVER = process.env.TIMER_SERVER || "tcp://127.0.0.1:8888"
const TIMEOUT_MS = 5_000
const TRIED_MS = 60_000

class Refused extends Error {}

// The result of a method. Where no answer comes it is asked for again on a new socket, so `params` have an `id` or `key`.
async function call(method, params, waitMs = 0) {
  const deadline = Date.now() + TRIED_MS + waitMs
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, 5_000)) {
    const socket = new Request({ linger: 0, receiveTimeout: TIMEOUT_MS + waitMs })
    let reason
    try {
      socket.connect(SERVER)
      await socket.send(JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 }))
      const [reply] = await socket.receive()
      const { result, error } = JSON.parse(reply)
      if (!error) return result
      if (!error.data.retryable) throw new Refused(error.data.reason)
      reason = error.data.reason
    } catch (failure) {
      if (failure.code !== "EAGAIN") throw failure // that is what a timeout is called
      reason = "no answer"
    } finally {
      socket.close()
    }
    if (Date.now() > deadline) throw new Refused(`${method}: ${reason}`)
    await pause(pauseMs * (1 + Math.random() / 2))
  }
}

async function main(seconds) {
  let timer = await call("timer.start", { id: randomUUID(), seconds })
  console.log(`${timer.id} runs for ${seconds} s`)
  while (["running", "paused"].includes(timer.state)) {
    timer = await call("timer.wait", { id: timer.id, wait_ms: 30_000 }, 30_000)
  }
  console.log(`${timer.id} has ${timer.state === "fired" ? "fired" : "been cancelled"}`)
}

try {
  await main(Number(process.argv[2] ?? 2.5))
} catch (error) {
  if (!(error instanceof Refused)) throw error
  console.error(error.message)
  process.exitCode = 1
}
