/**
 * Rings that can be held: their messages are not seen until they are released, as by a stopped process.
 */
import * as Effect from "effect/Effect"
import type { RingPorts, RingReaderPort } from "../../src/layers/ports/RingPorts.ts"

export interface Hold {
  held: boolean
}

/** The reader of rings with that name sees nothing while it is held. */
export const holding =
  (name: (ring: string) => boolean, hold: Hold) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
    ...ring,
    openReader: (ringName, readerName) =>
      Effect.map(ring.openReader(ringName, readerName), (port) => name(ringName) ? held(port, hold) : port)
  })

const held = (port: RingReaderPort, hold: Hold): RingReaderPort =>
  overriding(port, {
    ready: () => !hold.held && port.ready(),
    // Nor its writer's end: a stopped process would notice neither.
    ended: () => !hold.held && port.ended(),
    poll: (max) => hold.held ? [] : port.poll(max)
  })

/** The same port, with some members replaced. */
export const overriding = <Port extends object>(port: Port, instead: Partial<Port>): Port =>
  new Proxy(port, {
    get: (target, key) => {
      const own = (instead as Record<PropertyKey, unknown>)[key]
      if (own !== undefined) return own
      const value = Reflect.get(target, key, target) as unknown
      return typeof value === "function" ? value.bind(target) : value
    }
  })

/** Once switched on, readers of members' messages are evicted from what comes then. */
export const losing = (isLost: () => boolean) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
  ...ring,
  openReader: (ringName, readerName) =>
    Effect.map(
      ring.openReader(ringName, readerName),
      (port) => ringName.startsWith("events/") ? spoilt(port, isLost) : port
    )
})

const spoilt = (port: RingReaderPort, isLost: () => boolean): RingReaderPort =>
  overriding(port, {
    poll: (max) => isLost() ? [] : port.poll(max),
    evicted: () => {
      const from = port.cursors().read
      return isLost() && port.leading() > from ? { from, to: port.leading() } : undefined
    }
  })

/** Hides that process from the readers of members' messages. */
export const unseen = (process: () => number) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
  ...ring,
  readers: (of) => ring.readers(of).filter((reader) => reader.process !== process())
})

/** Frames written to rings with that name may be changed on the way. */
export const rewriting =
  (name: (ring: string) => boolean, change: (payload: Uint8Array) => Uint8Array) =>
  (ring: RingPorts["Service"]): RingPorts["Service"] => ({
    ...ring,
    openWriter: (ringName) =>
      Effect.map(ring.openWriter(ringName), (port) =>
        name(ringName)
          ? overriding(port, {
            append: (header, payload) => port.append(header, change(payload)),
            send: (header, payload) => port.send(header, change(payload))
          })
          : port)
  })

/** Something happens whenever this member begins to wait for others' cursors that are not there yet. */
export const interposing = (happens: () => void) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
  ...ring,
  cursorWaiter: {
    until: (check) =>
      Effect.suspend(() => {
        if (check() === undefined) happens()
        return ring.cursorWaiter.until(check)
      })
  }
})
