/**
 * The events of a run that an observer notes, from the member's calls and from its frames.
 */
import * as Effect from "effect/Effect"
import type { RingPorts, RingWriterPort } from "../../src/layers/ports/RingPorts.ts"
import { type Notice, noticeWire, type Request, requestWire } from "../../src/layers/swarm/control/ControlCodec.ts"
import type { Released } from "../../src/layers/swarm/control/CoordinatorProtocol.ts"
import type { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import type { MemberId } from "../../src/services/schema/Member.ts"
import { overriding } from "../faults/held.ts"

export type FenceEvent =
  /** It is a member and gets all messages from now on. It writes its own to that ring. */
  | { readonly _tag: "joined"; readonly ring: number }
  /** It has sent its next message, which it began to send at `since`. */
  | { readonly _tag: "sent"; readonly to: "world" | "remote" | "local" | MemberId; readonly since: number }
  /** The handler of that sender's message has begun, or ended. */
  | { readonly _tag: "begun" | "handled"; readonly sender: MemberId; readonly n: number }
  | {
    readonly _tag: "arrived"
    readonly term: number
    readonly name: string
    readonly attempt: number
    readonly amendment: number
  }
  | { readonly _tag: "withdrew"; readonly term: number; readonly attempt: number }
  | { readonly _tag: "released"; readonly term: number; readonly release: Released }
  | {
    readonly _tag: "returned"
    readonly name: string
    readonly term: number
    readonly round: number
    readonly mode: BarrierMode
  }
  /** A failure that must not occur. */
  | { readonly _tag: "failed"; readonly why: string }
  /** It is killed or leaves: from then on it has no promises. */
  | { readonly _tag: "gone" }

export interface Noted {
  readonly at: number
  readonly who: MemberId
  readonly event: FenceEvent
}

export interface Notebook {
  readonly now: () => number
  readonly note: (event: FenceEvent, at: number) => void
}

/** Notes the member's frames to its coordinator, and those that it sends as the coordinator. */
export const watching = (book: Notebook) => (ring: RingPorts["Service"]): RingPorts["Service"] => ({
  ...ring,
  openWriter: (name) =>
    Effect.map(ring.openWriter(name), (port) => {
      if (name.startsWith("control/")) return watched(port, book, requested)
      return name === "coordinator" ? watched(port, book, (payload) => announced(port.generation, payload)) : port
    })
})

// Notes an arrival after sending it, everything else before doing it: so the notes never claim more of a killed member
// than it did, and no member returns from a release that was not noted.
const watched = (
  port: RingWriterPort,
  { note, now }: Notebook,
  eventOf: (payload: Uint8Array) => FenceEvent | undefined
): RingWriterPort => {
  const unpublished: Array<() => void> = []
  const noting = (payload: Uint8Array, write: () => number | undefined, isOut: boolean): number | undefined => {
    const at = now()
    const event = eventOf(payload)
    const isAhead = event?._tag !== "arrived"
    if (event !== undefined && isAhead) note(event, at)
    const end = write()
    if (end === undefined || event === undefined || isAhead) return end
    if (isOut) note(event, at)
    else unpublished.push(() => note(event, at))
    return end
  }
  return overriding(port, {
    append: (header, payload) => noting(payload, () => port.append(header, payload), false),
    send: (header, payload) => noting(payload, () => port.send(header, payload), true),
    publish: () => {
      port.publish()
      for (const tell of unpublished.splice(0)) tell()
    }
  })
}

const requested = (payload: Uint8Array): FenceEvent | undefined => {
  const frame = requestWire.decode(payload)
  const request: Request | undefined = frame?.request
  const term = frame?.term ?? 0
  if (request?._tag === "Arrive") {
    const { amendment, attempt, name } = request.payload
    return { _tag: "arrived", term, name, attempt, amendment }
  }
  if (request?._tag !== "Withdraw" || request.payload.stay) return undefined
  return { _tag: "withdrew", term, attempt: request.payload.attempt }
}

const announced = (term: number, payload: Uint8Array): FenceEvent | undefined => {
  const notice: Notice | undefined = noticeWire.decode(payload)
  return notice?._tag === "Released" ? { _tag: "released", term, release: notice } : undefined
}
