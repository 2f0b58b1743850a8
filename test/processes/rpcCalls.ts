/**
 * Procedures that real processes call on each other.
 */
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

/** What an actor serves. */
export class ActorCalls extends RpcGroup.make(
  Rpc.make("Pid", { success: Schema.Int }),
  Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("Mark", { payload: { number: Schema.Int } }),
  Rpc.make("Hold"),
  Rpc.make("Count", { success: Schema.Int, stream: true }),
  Rpc.make("End")
) {}

/** What the test serves. */
export class ParentCalls extends RpcGroup.make(
  Rpc.make("Mark", { payload: { number: Schema.Int } }),
  Rpc.make("Hold"),
  Rpc.make("Count", { success: Schema.Int, stream: true })
) {}
