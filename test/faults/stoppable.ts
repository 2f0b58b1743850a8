/**
 * A member that is stopped, as by SIGSTOP, without stopping the test: it reads and opens nothing until it continues.
 * Its timers run, but find no work.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { RingPorts, RingReaderPort } from "../../src/layers/ports/RingPorts.ts"
import type { Waiter } from "../../src/layers/ports/Waiter.ts"

export interface Stoppable {
  readonly over: (ring: RingPorts["Service"]) => RingPorts["Service"]
  readonly stop: Effect.Effect<void>
  readonly go: Effect.Effect<void>
}

export const stoppable = (): Stoppable => {
  const going = Latch.makeUnsafe(true)
  const isStopped = () => !going.isOpen()
  const waiting = (waiter: Waiter): Waiter => ({
    until: (check) => {
      const look = () => isStopped() ? undefined : check()
      return Effect.andThen(going.await, waiter.until(look))
    }
  })
  return {
    stop: going.close,
    go: going.open,
    over: (ring) => ({
      ...ring,
      waiter: waiting(ring.waiter),
      cursorWaiter: waiting(ring.cursorWaiter),
      openReader: (name, readerName) =>
        Effect.andThen(
          going.await,
          Effect.map(ring.openReader(name, readerName), (port) => stopping(port, waiting(port.waiter), isStopped))
        )
    })
  }
}

// --- internal ---

const stopping = (port: RingReaderPort, waiter: Waiter, isStopped: () => boolean): RingReaderPort => ({
  ring: port.ring,
  waiter,
  baseline: () => port.baseline(),
  generation: () => port.generation(),
  leading: () => port.leading(),
  ready: () => !isStopped() && port.ready(),
  look: () => !isStopped() && port.look(),
  next: () => port.next(),
  frame: port.frame,
  bytes: () => port.bytes(),
  isStirred: () => !isStopped() && port.isStirred(),
  isEvicted: () => port.isEvicted(),
  poll: (max) => isStopped() ? [] : port.poll(max),
  cursors: () => port.cursors(),
  advance: (cursors) => port.advance(cursors),
  evicted: () => isStopped() ? undefined : port.evicted(),
  rejoin: () => port.rejoin(),
  over: () => port.over(),
  ended: () => !isStopped() && port.ended(),
  damage: () => port.damage()
})
