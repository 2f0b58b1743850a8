/**
 * Plants faults around a fence, which the checker must find.
 */
import * as Effect from "effect/Effect"
import type { Frame, RingPorts } from "../../src/layers/ports/RingPorts.ts"
import { noticeWire } from "../../src/layers/swarm/control/ControlCodec.ts"
import { ringNames } from "../../src/layers/swarm/transport/FrameAddress.ts"
import { overriding, rewriting } from "../faults/held.ts"

export const faults = [
  "none",
  "draining off",
  "progress published early",
  "target taken too early",
  "the dead forgotten"
] as const
export type Fault = (typeof faults)[number]

/** The rings of a member with that fault. */
export const spoiling = (fault: Fault) => (ring: RingPorts["Service"]): RingPorts["Service"] => {
  if (fault === "progress published early") return { ...ring, openReader: (name, as) => early(ring, name, as) }
  if (fault === "target taken too early") return { ...ring, openWriter: (name) => stale(ring, name) }
  return fault === "the dead forgotten" ? forgetful(ring) : ring
}

const isEvents = (name: string): boolean => name.startsWith("events/")

// Counts the whole batch as soon as its first message counts.
const early: RingPorts["Service"]["openReader"] extends (...args: infer A) => infer R
  ? (ring: RingPorts["Service"], ...args: A) => R
  : never = (ring, name, as) =>
    Effect.map(ring.openReader(name, as), (port) => {
      if (!isEvents(name)) return port
      return overriding(port, {
        poll: (max): ReadonlyArray<Frame> => {
          const frames = port.poll(max)
          const end = frames.at(-1)?.end ?? 0
          return frames.map((frame) => ({ ...frame, end }))
        }
      })
    })

// Gives each arrival the targets of the previous one.
const stale = (ring: RingPorts["Service"], name: string): ReturnType<RingPorts["Service"]["openWriter"]> =>
  Effect.map(ring.openWriter(name), (port) => {
    if (!isEvents(name)) return port
    let before = port.published()
    return overriding(port, {
      published: () => {
        const now = port.published()
        const said = before
        before = now
        return said
      }
    })
  })

// Removes the targets of members that are dead by then from a release.
const forgetful = (ring: RingPorts["Service"]): RingPorts["Service"] => {
  const slots = new Map<number, string>()
  const forgetting = (payload: Uint8Array): Uint8Array => {
    const notice = noticeWire.decode(payload)
    if (notice?._tag !== "Released") return payload
    const dead = notice.arrivals.flatMap(({ member }) => ring.isAlive(member.slot, member.generation) ? [] : [member])
    const gone = new Set([...notice.departed, ...dead].map(({ slot }) => ringNames.events(slot)))
    const targets = notice.targets.filter((target) => !gone.has(slots.get(target.ring) ?? ""))
    return noticeWire.encode({ ...notice, targets })
  }
  const isCoordinators = (name: string) => name === ringNames.coordinator
  return {
    ...rewriting(isCoordinators, forgetting)(ring),
    openReader: (name, as) =>
      Effect.tap(ring.openReader(name, as), (port) => Effect.sync(() => slots.set(port.ring, name)))
  }
}
