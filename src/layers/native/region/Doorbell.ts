/**
 * The doorbell of an attachment: a FIFO that the event loop polls itself, or a thread where no FIFO can be had.
 *
 * A ring of the FIFO is one wake-up, that of the event loop. The thread takes two, and a FIFO is not to be had everywhere:
 * the native side says so (`startWaiter`). While a fiber waits the native side also looks for what rings no bell: the death of
 * processes, and a ring whose process was killed or stopped ahead of it.
 */
import * as Context from "effect/Context"
import { closeSync } from "node:fs"
import { Socket } from "node:net"
import type { RegionHandle } from "../../../native/binding.ts"

/** By what an attachment is rung that begins now. Where no FIFO can be had it is a thread all the same. */
export const DoorbellKind = Context.Reference<"fifo" | "thread">("ringfence/layers/DoorbellKind", {
  defaultValue: () => mayPoll ? "fifo" : "thread"
})

type Handle = Pick<RegionHandle, "startWaiter" | "armWaiter" | "disarmWaiter" | "waiterHeard">

export class Doorbell {
  readonly #handle: Handle
  readonly #rung: () => void
  readonly #socket: Socket | undefined
  #isKeptAlive = false

  /** Calls `rung` on the event loop at most once for each arming. */
  constructor(handle: Handle, rung: () => void, kind: "fifo" | "thread") {
    this.#handle = handle
    this.#rung = rung
    const fifo = handle.startWaiter(rung, kind === "fifo")
    this.#socket = fifo < 0 ? undefined : this.#polling(fifo)
  }

  /** While it is armed it keeps the process alive. */
  arm(reasons: number): void {
    this.#keepsAlive(true)
    this.#handle.armWaiter(reasons)
  }

  disarm(): void {
    this.#keepsAlive(false)
    this.#handle.disarmWaiter()
  }

  /** Before the region is closed: another process may have its slot then, and poll the same FIFO. */
  close(): void {
    this.#socket?.destroy()
  }

  // A process that waits arms again after each ring: only a change enters the event loop's part of the runtime.
  #keepsAlive(does: boolean): void {
    if (this.#isKeptAlive === does) return
    this.#isKeptAlive = does
    if (does) this.#socket?.ref()
    else this.#socket?.unref()
  }

  // Bytes that are read ahead of the look at what is waited for ask for that look, and each that is written behind the next
  // arming wakes again.
  #polling(fifo: number): Socket {
    const callback = () => {
      if (this.#handle.waiterHeard()) this.#rung()
      return true
    }
    try {
      const onread = { buffer: new Uint8Array(bytesAtOnce), callback }
      const socket = new Socket({ fd: fifo, readable: true, writable: false, onread })
      // What a broken FIFO does not ring the native look finds.
      socket.on("error", () => undefined)
      return socket.unref()
    } catch (error) {
      closeSync(fifo)
      throw error
    }
  }
}

// --- internal ---

/** Sockets over descriptors are Node's own; other runtimes have the thread. */
const mayPoll = process.versions["bun"] === undefined && process.versions["deno"] === undefined

const bytesAtOnce = 64
