/**
 * `ringbuf.js`, a ring of one writer and one reader in a SharedArrayBuffer, between workers of one process. Both sides spin:
 * it has no way to sleep.
 */
import { Worker } from "node:worker_threads"
import { peerUrl } from "./channel.ts"
import type { RivalJob } from "./jobs.ts"
import { loadRival } from "./missing.ts"

/** The worker's data. */
export interface RingbufJob extends RivalJob {
  readonly there: SharedArrayBuffer
  readonly back: SharedArrayBuffer
}

/** The parts of ringbuf.js used here. */
interface RingBuffer {
  readonly push: (elements: Uint8Array) => number
  readonly pop: (elements: Uint8Array) => number
  readonly available_read: () => number
  readonly available_write: () => number
}

interface RingbufModule {
  readonly RingBuffer: {
    new(memory: SharedArrayBuffer, type: Uint8ArrayConstructor): RingBuffer
    getStorageForCapacity(capacity: number, type: Uint8ArrayConstructor): SharedArrayBuffer
  }
}

/** As much as the ring that it is compared with. */
const ringBytes = 8 * 1024 * 1024

interface Asking {
  readonly there: End
  readonly back: End
  readonly end: () => Promise<unknown>
}

const start = async (job: RivalJob): Promise<Asking> => {
  const { RingBuffer } = await loadRival("ringbuf.js") as RingbufModule
  const memories = {
    there: RingBuffer.getStorageForCapacity(ringBytes, Uint8Array),
    back: RingBuffer.getStorageForCapacity(ringBytes, Uint8Array)
  }
  const worker = new Worker(peerUrl, { workerData: { ...job, ...memories } satisfies RingbufJob })
  await new Promise((resolve, reject) => worker.once("online", resolve).once("error", reject))
  return {
    there: new End(new RingBuffer(memories.there, Uint8Array)),
    back: new End(new RingBuffer(memories.back, Uint8Array)),
    end: () => worker.terminate()
  }
}

/** Round trips in microseconds. Blocks its thread. */
export const askRingbuf = async (job: RivalJob): Promise<Float64Array> => {
  const { back, end, there } = await start(job)
  const message = new Uint8Array(job.messageBytes).fill(7)
  const micros = new Float64Array(job.warmup + job.messages)
  let before = performance.now()
  for (let trip = 0; trip < micros.length; trip += 1) {
    there.send(message)
    back.take(message)
    const now = performance.now()
    micros[trip] = 1000 * (now - before)
    before = now
  }
  await end()
  return micros
}

/** One way, until the worker has counted the last message. Blocks its thread. */
export const streamRingbuf = async (job: RivalJob): Promise<{ messagesPerSecond: number; agrees: boolean }> => {
  const { back, end, there } = await start(job)
  const message = new Uint8Array(job.messageBytes)
  const answer = new Uint8Array(answerBytes)
  let sum = 0
  const stream = (messages: number) => {
    for (let sent = 0; sent < messages; sent += 1) {
      message[0] = sent
      sum += message[0] as number
      there.send(message)
    }
    back.take(answer)
  }
  stream(job.warmup)
  const began = performance.now()
  stream(job.messages)
  const messagesPerSecond = 1000 * job.messages / (performance.now() - began)
  await end()
  return { messagesPerSecond, agrees: new Float64Array(answer.buffer)[0] === sum }
}

/** Runs the worker's side: sends each message back, or the sum of their first bytes after the warm-up and at the end. */
export const answerRingbuf = async (job: RingbufJob): Promise<void> => {
  const { RingBuffer } = await loadRival("ringbuf.js") as RingbufModule
  const [there, back] = [job.there, job.back].map((memory) => new End(new RingBuffer(memory, Uint8Array))) as [End, End]
  const message = new Uint8Array(job.messageBytes)
  const answer = new Float64Array(1)
  for (let taken = 1; taken <= job.warmup + job.messages; taken += 1) {
    there.take(message)
    if (!job.oneWay) {
      back.send(message)
      continue
    }
    answer[0] = (answer[0] as number) + (message[0] as number)
    if (taken === job.warmup || taken === job.warmup + job.messages) back.send(new Uint8Array(answer.buffer))
  }
}

// --- internal ---

const answerBytes = Float64Array.BYTES_PER_ELEMENT

/** One end of a ring. It asks for room, or for bytes, only once what it knows of is used up: asking costs as much as a push. */
class End {
  readonly #ring: RingBuffer
  #known = 0

  constructor(ring: RingBuffer) {
    this.#ring = ring
  }

  send(message: Uint8Array): void {
    while (this.#known < message.length) this.#known = this.#ring.available_write()
    this.#known -= this.#ring.push(message)
  }

  take(message: Uint8Array): void {
    while (this.#known < message.length) this.#known = this.#ring.available_read()
    this.#known -= this.#ring.pop(message)
  }
}
