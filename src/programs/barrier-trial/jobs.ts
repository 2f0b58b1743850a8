/**
 * The jobs that a barrier trial gives its members, and their answers.
 */
import * as Schema from "effect/Schema"
import * as Messenger from "../../services/Messenger.ts"
import { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import { type ChildProgram, programBeside } from "../processes/protocol.ts"

/** One message of a burst. A sender numbers its messages consecutively over all iterations. */
export const Shot = Messenger.event("shot", Schema.Struct({ member: Schema.Int, sequence: Schema.Int }))

/**
 * The two forms of the trial. `start`: a rendezvous opens each iteration, so that no message can arrive before its
 * iteration. `contiguity`: iterations have no start; each member checks that each sender's messages are consecutive.
 */
export const TrialForm = Schema.Literals(["start", "contiguity"])
export type TrialForm = typeof TrialForm.Type

export const MemberJob = Schema.Struct({
  region: Schema.String,
  name: Schema.String,
  /** The member's number; the coordinator's is 0. */
  member: Schema.Int,
  members: Schema.Int,
  iterations: Schema.Int,
  burst: Schema.Int,
  mode: BarrierMode,
  form: TrialForm,
  handlerDelayMillis: Schema.Finite,
  deadlineMillis: Schema.Finite,
  /** The iteration in which it kills itself, after half of its burst. 0: none. */
  diesIn: Schema.Int
})
export type MemberJob = typeof MemberJob.Type

/** One iteration as one member saw it. Times are of the clock that all processes share. */
export const MemberRound = Schema.Struct({
  enteredMillis: Schema.Finite,
  returnedMillis: Schema.Finite,
  /** Messages that were sent before this barrier and had not arrived when it returned. */
  missing: Schema.Int,
  /** Messages of later iterations that had arrived when it returned. */
  ahead: Schema.Int,
  /** Messages that arrived while this member was in the barrier. */
  drained: Schema.Int,
  /** When the last message that was sent before this barrier arrived; 0 if it never did. */
  reachedMillis: Schema.Finite,
  /** Members that the barrier named as departed. */
  departed: Schema.Array(Schema.String)
})
export type MemberRound = typeof MemberRound.Type

export const MemberResult = Schema.Struct({
  member: Schema.Int,
  rounds: Schema.Array(MemberRound),
  /** Messages whose handler has ended. */
  handled: Schema.Int,
  /** Messages that arrived out of their sender's order. */
  disordered: Schema.Int,
  /** Messages of members that lived to the end, and that never arrived. */
  lost: Schema.Int
})
export type MemberResult = typeof MemberResult.Type

export const TrialMember: ChildProgram<MemberJob, MemberResult> = {
  entry: programBeside(import.meta.url, "member"),
  job: MemberJob,
  result: MemberResult
}
