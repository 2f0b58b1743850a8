/**
 * Writes the coordinator's ring: notices to all members, and answers to one.
 */
import type { MemberId } from "../../../services/schema/Member.ts"
import type { FrameHeader, RingWriterPort } from "../../ports/RingPorts.ts"
import { partsOf } from "../../ring/Fragments.ts"
import { type Address, everyMember, frameKind, headerOf, one } from "../transport/FrameAddress.ts"
import { type Answer, type Notice, noticeWire } from "./ControlCodec.ts"

export class NoticeWriter {
  readonly #port: RingWriterPort
  readonly #self: MemberId

  constructor(port: RingWriterPort, self: MemberId) {
    this.#port = port
    this.#self = self
  }

  toAll(notice: Notice): void {
    this.#write(notice, everyMember)
  }

  toOne(member: MemberId, notice: Notice): void {
    this.#write(notice, one(member))
  }

  /** Answers the member's request of that number. */
  answer(member: MemberId, number: number, answer: Answer): void {
    this.toOne(member, { _tag: "Answered", number, answer })
  }

  // --- internal ---

  #write(notice: Notice, to: Address): void {
    const payload = noticeWire.encode(notice)
    const header = headerOf(frameKind.control, 0, this.#self, to)
    for (const { flags, part } of partsOf(payload, this.#port.payloadBytesMax)) {
      this.#append({ ...header, flags }, part)
      this.#port.publish()
    }
  }

  // No member may hold up the coordinator: evict the slowest reader, which then asks for the whole membership.
  #append(header: FrameHeader, payload: Uint8Array): void {
    while (this.#port.append(header, payload) === undefined) {
      if (!this.#port.evictSlowest()) return
    }
  }
}
