/**
 * `ringfence swarm`: runs a member of a swarm, which may coordinate, stand by and spawn further members, and reports
 * members that join and leave.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Regions from "../layers/Regions.ts"
import * as Swarm from "../layers/Swarm.ts"
import { Coordinator } from "../services/Coordinator.ts"
import { type ChildExit, type ChildHandle, Spawner } from "../services/Spawner.ts"
import { Termination } from "./cli/main.ts"
import { foreignSetting } from "./cli/region-access.ts"
import { printEvent } from "./cli/report.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "./cli/settings.ts"
import { flagsTo, targetSettings } from "./cli/target.ts"
import { bytesFlag, countFlag, formatBytes, millisFlag } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { programBeside } from "./processes/protocol.ts"
import { describeSwarmEvent, type SwarmEvent } from "./swarm/events.ts"

/** There is no swarm to join, or the region has a swarm already. */
export class SwarmUnavailable extends Schema.TaggedError<SwarmUnavailable>()("SwarmUnavailable", {
  region: Schema.String,
  reason: Schema.Literals(["missing", "exists", "log", "abandoned"])
}) {
  override get message(): string {
    const found = {
      missing: `there is no swarm in region "${this.region}"`,
      exists: `region "${this.region}" has a swarm already`,
      log: `region "${this.region}" holds a log, not a swarm`,
      abandoned: `the swarm in region "${this.region}" has lost its coordinator`
    }
    return `${found[this.reason]} (${this.hint})`
  }

  get hint(): string {
    const hints = {
      missing: `start one: ringfence swarm --coordinator${this.#flags}`,
      exists: `join it: ringfence swarm${this.#flags} --name NAME`,
      log: "start a swarm in another region: ringfence swarm --coordinator --region NAME",
      abandoned: `restart it once its members have ended: ringfence swarm --coordinator${this.#flags}`
    }
    return hints[this.reason]
  }

  get #flags(): string {
    return flagsTo({ region: this.region })
  }
}

/** Each member reads every ring, and a ring has at most 128 readers. */
const membersMax = 127

const onlyFlag = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withoutNegation, Flag.withDefault(false))

const othersFlag = (name: string, description: string): Flag.Flag<number> =>
  countFlag(name, membersMax - 1, 0).pipe(
    Flag.withMetavar("count"),
    Flag.withDescription(description),
    Flag.withDefault(0)
  )

const nameFlag = (name: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.withMetavar("name"),
    Flag.filter((text) => text.trim() !== "", () => "a member's name has at least one letter")
  )

const settings = {
  region: targetSettings.region,
  name: openSetting("name", nameFlag, {
    description: "The member's name",
    shown: "its process number"
  }),
  members: setting("members", (name) => countFlag(name, membersMax), {
    description: "Members that may live at once; for the coordinator",
    fallback: 16
  }),
  ringBytes: openSetting("ring-bytes", bytesFlag, {
    description: "Bytes of each ring, a power of two; a member has three. For the coordinator",
    shown: `${formatBytes(512 * 1024)}, or what fits the free space`
  }),
  standby: setting("standby", (name) => Flag.Boolean(name), {
    description: "Take over when the coordinator is gone",
    fallback: false
  }),
  allowForeign: foreignSetting,
  json: jsonSetting
}

const inputs = {
  coordinator: onlyFlag("coordinator", "Create the region and coordinate its swarm; exactly one member does"),
  spawn: othersFlag("spawn", "Start this many more members, which end with this one"),
  recover: onlyFlag("recover", "Restart a spawned member that fails, five times at most"),
  invitedOnly: onlyFlag("invited-only", "Admit members only by invitation; for the coordinator"),
  invite: othersFlag("invite", "Print this many invitations; each admits one process, once"),
  expires: millisFlag("expires").pipe(
    Flag.withDescription("How long an invitation is valid (default: 30s)"),
    Flag.withDefault(30_000)
  ),
  quiet: onlyFlag("quiet", "Report only errors")
}

export const swarm = Command.make(
  "swarm",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => takePart({ ...input, ...values }))
).pipe(
  Command.withDescription(
    lines(
      "Runs a member of a swarm: processes that share a region of memory, know each other, and meet at barriers. Runs until",
      "Ctrl-C, and reports members that join and leave. Start the coordinator, then as many other members as you like:",
      "",
      "  ringfence swarm --coordinator            in one terminal",
      "  ringfence swarm --name ann               in another",
      "  ringfence swarm --name bob --standby     in a third: it takes over when the first is gone",
      "",
      "Your own program becomes a member with Swarm.layerMember, or with Swarm.layerChild if it is spawned or invited."
    )
  ),
  Command.withShortDescription("Take part in a swarm, coordinate one, spawn members"),
  Command.withExamples([
    { command: "ringfence swarm --coordinator --spawn 4 --recover", description: "Coordinate, with four more members" },
    {
      command: "ringfence swarm --name ann --standby",
      description: "Join, and take over when the coordinator is gone"
    },
    {
      command: "ringfence swarm --coordinator --invited-only --invite 2",
      description: "Admit two other members, and no more"
    }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings> & {
  readonly coordinator: boolean
  readonly spawn: number
  readonly recover: boolean
  readonly invitedOnly: boolean
  readonly invite: number
  readonly expires: number
  readonly quiet: boolean
}

const takePart = (values: Values) => {
  const layer = Swarm.layerSpawner.pipe(Layer.provideMerge(layerOf(values)))
  return takingPart(values).pipe(
    Effect.scoped,
    Effect.provide(layer),
    Effect.catchTags({
      RegionError: (error) => Effect.flatMap(reasonOf(error, values.region), refused(values.region, error)),
      RingUnavailable: (error) => refused(values.region, error)(error.reason === "noRings" ? "log" : undefined),
      JoinRefused: (error) => refused(values.region, error)(error.reason === "noCoordinator" ? "abandoned" : undefined)
    })
  )
}

/** The hint depends on what the region holds: another swarm, a log, or nothing. */
const refused = <E>(region: string, error: E) => (reason: SwarmUnavailable["reason"] | undefined) =>
  Effect.fail(reason === undefined ? error : new SwarmUnavailable({ region, reason }))

const reasonOf = ({ fault }: CxlMemory.RegionError, region: string) => {
  if (fault === "missing") return Effect.succeed("missing" as const)
  if (fault !== "exists") return Effect.succeed(undefined)
  return Effect.map(
    Regions.inspect(CxlMemory.regionPath(region)),
    ({ holds }) => holds === "log" ? "log" as const : "exists" as const
  )
}

const layerOf = (
  { coordinator, invitedOnly, members, name: given, region, ringBytes, spawn, standby, allowForeign }: Values
) => {
  const name = given ?? (coordinator ? "coordinator" : `member-${process.pid}`)
  const admission = invitedOnly ? "invitation" : "open"
  const room = Math.max(members, spawn + 1)
  return coordinator
    ? Swarm.layerCoordinator({ region, name, standby, admission, members: room, ringBytes, onLost })
    : Swarm.layerChild({ region, name, standby, admission, allowForeign, onLost })
}

// Do not log the loss: the program ends with it and reports it.
const onLost = () => Effect.void

// Runs even when the reader of its output is gone.
const takingPart = Effect.fnUntraced(function*(values: Values) {
  yield* Termination.use(({ untilTerminated }) => untilTerminated)
  const coordinator = yield* Coordinator
  const { info } = yield* CxlMemory.CxlMemory
  const describe = describeSwarmEvent(coordinator)
  const say = (event: SwarmEvent) =>
    values.quiet ? Effect.void : Effect.ignore(printEvent(values.json, "swarm", event, describe))
  const begun = yield* Latch.make(false)
  const following = yield* Effect.forkScoped(
    Stream.runForEach(coordinator.changes, (change) => Effect.andThen(begun.await, say(change))),
    { startImmediately: true }
  )
  yield* say({
    _tag: "TakingPart",
    region: values.region,
    path: info.path,
    member: coordinator.self,
    coordinates: coordinator.coordinates(),
    members: coordinator.members(),
    join: `ringfence swarm${flagsTo({ region: values.region })} --name NAME`
  })
  yield* begun.open
  yield* inviteOthers(values, say)
  yield* spawnOthers(values, coordinator.self.name, say)
  yield* Effect.raceFirst(Fiber.join(following), coordinator.lost)
})

type Say = (event: SwarmEvent) => Effect.Effect<void>

const inviteOthers = ({ expires, invite }: Values, say: Say) =>
  Effect.gen(function*() {
    const spawner = yield* Spawner
    for (let i = 0; i < invite; i += 1) {
      const { environment } = yield* spawner.invite({ expires })
      yield* say({ _tag: "Invited", environment, millis: expires })
    }
  })

// Spawned members are quiet: this process reports the membership for them.
const spawnOthers = ({ recover, region, spawn }: Values, name: string, say: Say) =>
  Effect.gen(function*() {
    if (spawn === 0) return
    const spawner = yield* Spawner
    const children = yield* spawner.spawnAll(spawn, {
      name: `${name}-child`,
      entry: programBeside(import.meta.url, "ringfence"),
      args: ["swarm", "--region", region, "--quiet"],
      ...recover ? { recovery: {} } : {}
    })
    for (const child of children) {
      yield* Effect.forkScoped(Stream.runForEach(child.exits, (exit) => said(child, exit, say)))
    }
  })

const said = (child: ChildHandle, exit: ChildExit, say: Say) =>
  say({ _tag: "ChildEnded", ...exit, child: child.name, recovering: child.status()._tag === "Recovering" })
