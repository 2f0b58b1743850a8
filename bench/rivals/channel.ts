/**
 * The rivals that carry messages, those of Node.js and zeromq: the two ends of each, behind one interface.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parentPort, Worker } from "node:worker_threads"
import type { RivalJob } from "./jobs.ts"
import { loadRival } from "./missing.ts"

/** Whole messages, in the order in which they were sent. */
export interface Channel {
  readonly send: (message: Uint8Array) => void
  readonly listen: (hear: (message: Uint8Array) => void) => void
  readonly close: () => void
}

export type Carrying = Exclude<RivalJob["rival"], "atomicsSpin" | "atomicsWait" | "ringbuf">

export const peerUrl = new URL("./peer.ts", import.meta.url)

/** Starts the other side, and opens the end of this one. */
export const openAsker = async (rival: Carrying, job: RivalJob): Promise<Channel> => {
  switch (rival) {
    case "messagePort":
      return workerChannel(job)
    case "ipcAdvanced":
    case "ipcJson":
      return forkedChannel(rival, job)
    case "unixSocket":
      return listeningSocket(job)
    case "zeromq":
      return zeromqChannel(job, "bind")
  }
}

/** Opens the end of the other side, in its own process or worker. */
export const openAnswerer = async (rival: Carrying, job: RivalJob, path: string): Promise<Channel> => {
  switch (rival) {
    case "messagePort":
      return portChannel()
    case "ipcAdvanced":
    case "ipcJson":
      return ipcChannel(process, rival, () => process.disconnect())
    case "unixSocket":
      return socketChannel(connect(path), job)
    case "zeromq":
      return zeromqChannel(job, "connect", path)
  }
}

// --- internal ---

const workerChannel = (job: RivalJob): Channel => {
  const worker = new Worker(peerUrl, { workerData: job })
  return {
    send: (message) => worker.postMessage(message),
    listen: (hear) => void worker.on("message", hear),
    close: () => void worker.terminate()
  }
}

const portChannel = (): Channel => ({
  send: (message) => parentPort?.postMessage(message),
  listen: (hear) => void parentPort?.on("message", hear),
  close: () => parentPort?.close()
})

const forkedChannel = (rival: "ipcAdvanced" | "ipcJson", job: RivalJob): Channel => {
  const serialization = rival === "ipcJson" ? "json" : "advanced"
  const peer = fork(peerUrl, [JSON.stringify(job)], { serialization })
  return ipcChannel(peer, rival, () => peer.kill())
}

// JSON carries bytes as text, one letter each.
const ipcChannel = (peer: ChildProcess | NodeJS.Process, rival: Carrying, close: () => void): Channel => {
  const isJson = rival === "ipcJson"
  return {
    send: (message) => void peer.send?.(isJson ? Buffer.from(message).toString("latin1") : message),
    listen: (hear) =>
      void peer.on(
        "message",
        (message) => hear(isJson ? Buffer.from(message as string, "latin1") : message as Uint8Array)
      ),
    close
  }
}

const pathOf = (rival: string): string => join(tmpdir(), `ringfence-${rival}-${process.pid}.sock`)

const spawnPeer = (job: RivalJob, path: string): ChildProcess =>
  spawn(process.execPath, [fileURLToPath(peerUrl), JSON.stringify(job), path], {
    stdio: ["ignore", "ignore", "inherit"]
  })

const listeningSocket = (job: RivalJob): Promise<Channel> => {
  const path = pathOf("socket")
  rmSync(path, { force: true })
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      const channel = socketChannel(socket, job)
      resolve({
        ...channel,
        close: () => {
          channel.close()
          server.close()
          peer?.kill()
        }
      })
    })
    let peer: ChildProcess | undefined
    server.on("error", reject)
    server.listen(path, () => {
      peer = spawnPeer(job, path)
    })
  })
}

// A stream has no message boundaries: all messages have the same length, and a remainder begins the next one.
const socketChannel = (socket: Socket, { messageBytes }: RivalJob): Channel => ({
  send: (message) => void socket.write(message),
  listen: (hear) => {
    let rest: Buffer = Buffer.alloc(0)
    socket.on("data", (bytes: Buffer) => {
      const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      let at = 0
      for (; at + messageBytes <= all.length; at += messageBytes) hear(all.subarray(at, at + messageBytes))
      rest = all.subarray(at)
    })
  },
  close: () => socket.destroy()
})

/** The parts of zeromq used here: it is not a dependency of this project. */
interface Pair extends AsyncIterable<ReadonlyArray<Uint8Array>> {
  readonly bind: (address: string) => Promise<void>
  readonly connect: (address: string) => void
  readonly send: (message: Uint8Array) => Promise<void>
  readonly close: () => void
}

const zeromqChannel = async (job: RivalJob, side: "bind" | "connect", at = pathOf("zeromq")): Promise<Channel> => {
  const { Pair } = await loadRival("zeromq") as { Pair: new() => Pair }
  const socket = new Pair()
  const address = `ipc://${at}`
  let peer: ChildProcess | undefined
  if (side === "bind") {
    await socket.bind(address)
    peer = spawnPeer(job, at)
  } else socket.connect(address)
  return {
    send: oneAfterTheOther((message) => socket.send(message)),
    listen: (hear) => void hearAll(socket, hear),
    close: () => {
      socket.close()
      peer?.kill()
      rmSync(at, { force: true })
    }
  }
}

const hearAll = async (socket: Pair, hear: (message: Uint8Array) => void): Promise<void> => {
  for await (const [message] of socket) if (message !== undefined) hear(message)
}

// A zeromq socket sends one message at a time, so chain the sends.
const oneAfterTheOther = (send: (message: Uint8Array) => Promise<void>) => {
  const queue: Array<Uint8Array> = []
  let sending = false
  const sendAll = async () => {
    sending = true
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await send(next)
    sending = false
  }
  return (message: Uint8Array): void => {
    queue.push(message)
    if (!sending) void sendAll()
  }
}
