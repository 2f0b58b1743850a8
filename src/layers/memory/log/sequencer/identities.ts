/**
 * Gives identities to the sessions that claim them: one session has it at a time, and a newer claim takes it away.
 */
import type { Session } from "../LogState.ts"

/** `adopt`: the session may have its identity now. `wait`: another has it, which has to end first. */
export type Admittance = "adopt" | "wait" | "refuse"

/**
 * Judges the claim of a session. Fences the session that has the identity: that one ends at its committed prefix, so that
 * none of its batches commits once the newer publisher has been told how many there are. A session that its client has
 * closed ends in its own way: closing promises to publish what was accepted.
 */
export const admittanceOf = ({ claim }: Session): Admittance => {
  if (claim === undefined) return "adopt"
  const { continues, identity } = claim
  if (continues !== 0 && continues !== identity.incarnation) return "refuse"
  const { session } = identity
  if (session === undefined) return "adopt"
  if (!session.closing) session.endReason ??= "fenced"
  return "wait"
}

/** The session has its identity from here on. */
export const giveIdentity = (session: Session): void => {
  if (session.claim === undefined) return
  const { identity } = session.claim
  identity.incarnation += 1
  identity.session = session
  session.incarnation = { name: identity.name, incarnation: identity.incarnation, base: identity.base }
}

/** The session has ended: its identity goes on from its committed records. */
export const takeIdentity = (session: Session): void => {
  const identity = session.claim?.identity
  if (identity?.session !== session) return
  identity.base += session.expectedMessages
  identity.session = undefined
}
