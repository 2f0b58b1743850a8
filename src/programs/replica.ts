/**
 * `ringfence replica`: writes a replica of a log that another process serves, until the log ends.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Log from "../layers/Log.ts"
import { Replica } from "../services/Replica.ts"
import { directoriesFlag, directoryArgument } from "./cli/directories.ts"
import { asClient } from "./cli/log-client.ts"
import { Termination } from "./cli/main.ts"
import { foreignSetting } from "./cli/region-access.ts"
import { printEvent } from "./cli/report.ts"
import { serverDeadlineSetting } from "./cli/server-deadline.ts"
import { configured, flagsOf, jsonSetting, openSetting, printConfigFlag, type ValuesOf } from "./cli/settings.ts"
import { pathOf, type Target, targetOf, targetSettings } from "./cli/target.ts"
import { countFlag } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { describeFollowed, describeFollowing, followedEvent, followingEvent } from "./replica/events.ts"
import { fileSettings, replicaOf, tellingReplicas } from "./serve/replicas.ts"

const settings = {
  ...targetSettings,
  ...fileSettings,
  durableCopies: openSetting("durable-copies", (name) => countFlag(name, 255), {
    description: "How many replicas must have synced a record before it is acknowledged: the same for all replicas",
    shown: "this one and all its peers"
  }),
  allowForeign: foreignSetting,
  serverMillis: serverDeadlineSetting,
  json: jsonSetting
}

const inputs = {
  dir: directoryArgument("dir", "The directory of its files; it is created if it is missing"),
  peers: directoriesFlag("peer", "The directory of another replica of the log: it catches up from there")
}

export const replica = Command.make(
  "replica",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) =>
    configured(
      settings,
      input,
      (config) =>
        Effect.flatMap(targetOf(config), (target) =>
          asClient(
            target,
            { ...config.values, processName: "replica" },
            following(target, config.values, input)
          ))
    )
).pipe(
  Command.withDescription(
    lines(
      "Writes the topics with ack durable of a served log to files in a directory, as serve --replica does, in a process",
      "of its own: killed, it goes on where its files end when it is started again. It goes on when the server is killed",
      "and another continues the log, and ends with the log. One process at a time writes a directory."
    )
  ),
  Command.withShortDescription("Write a replica of a served log"),
  Command.withExamples([
    {
      command: "ringfence replica /var/lib/orders --peer /mnt/b/orders",
      description: "Both must have a record before it is acknowledged"
    },
    { command: "ringfence replica /mnt/b/orders --peer /var/lib/orders", description: "The other one" }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

interface Inputs {
  readonly dir: string
  readonly peers: ReadonlyArray<string>
}

const following = (target: Target, values: Values, { dir, peers }: Inputs) => {
  const { durableCopies, json, serverMillis } = values
  const options = { ...replicaOf(dir, values), peers: [...new Set(peers)], durableCopies, serverDeadline: serverMillis }
  return Effect.gen(function*() {
    yield* Termination.use(({ untilTerminated }) => untilTerminated)
    const { ended, required } = yield* Replica
    const begun = followingEvent(pathOf(target), dir, required)
    yield* Effect.ignore(printEvent(json, "replica", begun, describeFollowing))
    yield* Effect.forkScoped(tellingReplicas(json, "replica"))
    yield* ended
    yield* Effect.ignore(printEvent(json, "replica", followedEvent(dir), describeFollowed))
  }).pipe(Effect.scoped, Effect.provide(Log.layerReplica(options)))
}
