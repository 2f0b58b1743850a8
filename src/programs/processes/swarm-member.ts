/**
 * Makes a child a member of a swarm: the first child coordinates.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Swarm from "../../layers/Swarm.ts"

/** The fields of such a child's job. */
export const SwarmChildFields = {
  region: Schema.String,
  name: Schema.String,
  coordinates: Schema.Boolean,
  members: Schema.Int,
  strategy: Schema.Literals(["spin", "adaptive", "park"])
}

interface SwarmChildJob {
  readonly region: string
  readonly name: string
  readonly coordinates: boolean
  readonly members: number
  readonly strategy: "spin" | "adaptive" | "park"
}

/** Runs the child's work as a member. */
export const inSwarm = ({ coordinates, members, name, region, strategy }: SwarmChildJob) =>
  Effect.provide(
    coordinates
      ? Swarm.layerCoordinator({ region, name, members, plainRings: 0, strategy })
      : Swarm.layerMember({ region, name, strategy })
  )
