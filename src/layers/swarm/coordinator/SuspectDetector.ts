/**
 * Finds living members that do not keep up: a member that does not read the coordinator's ring while there is something
 * to read is stopped or too busy. The only consequence is a notice to all members.
 */
import type { RingReaderState } from "../../../services/Ring.ts"
import type { MemberId, MemberInfo } from "../../../services/schema/Member.ts"

interface Progress {
  readonly read: number
  readonly sinceMillis: number
}

export class SuspectDetector {
  readonly #suspectAfterMillis: number
  readonly #progress = new Map<number, Progress>()

  constructor(suspectAfterMillis: number) {
    this.#suspectAfterMillis = suspectAfterMillis
  }

  /** The suspects, by how far each member has read the ring, which is published up to `position`. */
  tick(
    members: ReadonlyArray<MemberInfo>,
    readers: ReadonlyArray<RingReaderState>,
    position: number,
    nowMillis: number
  ): ReadonlyArray<MemberId> {
    return members.map(({ id }) => id).filter((id) => {
      // An evicted member is not among the readers before it reads again.
      const read = readers.find(({ process }) => process === id.slot)?.read ?? 0
      const before = this.#progress.get(id.slot)
      const progress = read >= position || before?.read !== read ? { read, sinceMillis: nowMillis } : before
      this.#progress.set(id.slot, progress)
      return nowMillis - progress.sinceMillis >= this.#suspectAfterMillis
    })
  }
}
