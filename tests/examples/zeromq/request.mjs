// What the tests put in the place of the package `zeromq` where that is not installed: its `Request`, over a plain socket.

import { once } from "node:events"
import { createConnection } from "node:net"
import { setTimeout as pause } from "node:timers/promises"

const MORE = 1
const LONG = 2
const COMMAND = 4
const GREETING = Buffer.alloc(64)
GREETING.set([0xff], 0)
GREETING.set([0x7f, 3, 1], 9)
GREETING.write("NULL", 12)

export class Request {
  #limit
  #socket
  #ready
  #input = Buffer.alloc(0)

  constructor({ receiveTimeout }) {
    this.#limit = receiveTimeout
  }

  connect(endpoint) {
    const { hostname, port } = new URL(endpoint)
    this.#socket = createConnection({ host: hostname, port: Number(port) })
    this.#socket.on("error", () => {}) // in silence, as ZeroMQ
    this.#socket.on("data", (data) => (this.#input = Buffer.concat([this.#input, data])))
    this.#ready = this.#begin()
  }

  async #begin() {
    this.#socket.write(GREETING)
    this.#write(COMMAND, Buffer.from("\x05READY\x0bSocket-Type\0\0\0\x03REQ"))
    await this.#read(GREETING.length)
    const [flags] = await this.#frame() // READY: before it no message may be sent
    if (!(flags & COMMAND)) throw new Error("no ZMTP")
  }

  async send(text) {
    await this.#ready
    this.#write(MORE, Buffer.alloc(0))
    this.#write(0, Buffer.from(text))
  }

  async receive() {
    return Promise.race([this.#receive(), this.#expire()])
  }

  async #receive() {
    const frames = []
    for (;;) {
      const [flags, body] = await this.#frame()
      if (flags & COMMAND) continue // a heartbeat, whose answer nobody waits for in the short time of a test
      frames.push(body)
      if (!(flags & MORE)) return frames.slice(1)
    }
  }

  async #frame() {
    const [flags] = await this.#read(1)
    const size = flags & LONG ? Number((await this.#read(8)).readBigUInt64BE()) : (await this.#read(1))[0]
    return [flags, await this.#read(size)]
  }

  async #expire() {
    await pause(this.#limit, undefined, { ref: false })
    throw Object.assign(new Error("timed out"), { code: "EAGAIN" })
  }

  #write(flags, body) {
    const head = body.length > 255 ? Buffer.alloc(9) : Buffer.alloc(2)
    head[0] = flags | (body.length > 255 ? LONG : 0)
    if (body.length > 255) head.writeBigUInt64BE(BigInt(body.length), 1)
    else head[1] = body.length
    this.#socket.write(Buffer.concat([head, body]))
  }

  async #read(size) {
    while (this.#input.length < size) await once(this.#socket, "data")
    const data = this.#input.subarray(0, size)
    this.#input = this.#input.subarray(size)
    return data
  }

  close() {
    this.#socket.destroy()
  }
}
