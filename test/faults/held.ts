/**
 * Rings whose readers can be held, as in a stopped process: they see no message until they are released.
 */
import * as Effect from "effect/Effect"
import type { RingPorts, RingReaderPort } from "../../src/layers/ports/RingPorts.ts"

export interface Hold {
  held: boolean
}

/** Readers of rings with that name see nothing while they are held. */
export const holding =
  (name: (ring: string) => boolean, hold: Hold) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
    ...ring,
    openReader: (ringName, readerName) =>
      Effect.map(ring.openReader(ringName, readerName), (port) => name(ringName) ? held(port, hold) : port)
  })

const held = (port: RingReaderPort, hold: Hold): RingReaderPort =>
  overriding(port, {
    ready: () => !hold.held && port.ready(),
    // Hide the writer's end too: a stopped process would not notice it either.
    ended: () => !hold.held && port.ended(),
    look: () => !hold.held && port.look(),
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

/** Once switched on, evicts readers of members' messages from the next messages. */
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
    look: () => !isLost() && port.look(),
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

/** May change frames that are written to rings with that name. */
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

/** Calls `happens` whenever this member begins to wait for other members' cursors. */
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
