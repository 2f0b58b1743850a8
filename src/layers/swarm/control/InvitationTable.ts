/**
 * Keeps the open invitations by digest, with the time at which each expires. The coordinator sees the token itself only
 * when a process joins with it.
 */
import { createHash, randomBytes } from "node:crypto"

/** Replaces the token of an invitation wherever other members can read it. */
export const digestOf = (invitation: string): string => createHash("sha256").update(invitation).digest("base64url")

/** 256 random bits: too many to guess. */
export const freshInvitation = (): string => randomBytes(32).toString("base64url")

export class InvitationTable {
  /** Expiry times, by digest. */
  readonly #open = new Map<string, number>()

  issue(digest: string, untilMillis: number, nowMillis: number): void {
    for (const [old, until] of this.#open) if (until <= nowMillis) this.#open.delete(old)
    this.#open.set(digest, untilMillis)
  }

  cancel(digest: string): void {
    this.#open.delete(digest)
  }

  /** Uses up the invitation. Returns its digest, or `undefined` when it is unknown, cancelled, used or expired. */
  redeem(invitation: string, nowMillis: number): string | undefined {
    const digest = digestOf(invitation)
    const until = this.#open.get(digest)
    this.#open.delete(digest)
    return until !== undefined && until > nowMillis ? digest : undefined
  }
}
