/**
 * `ringfence files`: what the directory of a replica holds, and whether it is undamaged, beside the process that writes there
 * or without one; and its repair, without one.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { list } from "../layers/files/list.ts"
import { repairReplica } from "../layers/files/repairReplica.ts"
import { damageOf, verify } from "../layers/files/verify.ts"
import { nativeFileLock } from "../layers/native/region/FileLock.ts"
import { nodeDisk } from "../layers/node/NodeDisk.ts"
import { directoriesFlag, directoryArgument } from "./cli/directories.ts"
import { exitCode } from "./cli/exit.ts"
import { printReport } from "./cli/report.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag } from "./cli/settings.ts"
import { lines } from "./cli/usage.ts"
import {
  describeList,
  describeRepair,
  describeVerify,
  type ListReport,
  type RepairedReport,
  type VerifyReport
} from "./files/report.ts"

/** Files of a replica are damaged. */
export class DamageFound extends Schema.TaggedError<DamageFound>()("DamageFound", {
  dir: Schema.String,
  damaged: Schema.Int
}) {
  override get message(): string {
    return `${this.dir}: ${this.damaged === 1 ? "1 file is" : `${this.damaged} files are`} damaged (${this.hint})`
  }

  get hint(): string {
    return "see the list for where; `ringfence files repair` writes them again from another replica, or restore them from a copy"
  }
}

const settings = { json: jsonSetting }

const dir = directoryArgument("dir", "The directory that serve --replica was given")

const input = { ...flagsOf(settings), dir, printConfig: printConfigFlag }

const ls = Command.make(
  "ls",
  input,
  (input) =>
    configured(settings, input, ({ values }) =>
      Effect.flatMap(list(nodeDisk, input.dir), (listing) => {
        const report: ListReport = { program: "files ls", ...listing }
        return printReport(values.json, report, describeList)
      }))
).pipe(
  Command.withDescription(
    "Lists the topics in a replica's directory: their records, segments, sizes and named cursors."
  ),
  Command.withShortDescription("List topics, records and sizes"),
  Command.withExamples([{ command: "ringfence files ls /var/lib/ringfence/orders", description: "Look" }])
)

const verifyCommand = Command.make(
  "verify",
  input,
  (input) =>
    configured(settings, input, ({ values }) =>
      Effect.gen(function*() {
        const found = yield* verify(nodeDisk, input.dir)
        const damaged = damageOf(found).length
        const report: VerifyReport = { program: "files verify", damaged, ...found }
        yield* printReport(values.json, report, describeVerify, damaged === 0 ? exitCode.ok : exitCode.checkFailed)
        if (damaged > 0) return yield* new DamageFound({ dir: input.dir, damaged })
      }))
).pipe(
  Command.withDescription(
    lines(
      "Reads every byte in a replica's directory and checks it. A process may write there meanwhile. A torn end of a",
      "topic's last segment is no damage: a crash leaves it, and it was never acknowledged. Ends with exit code 1 when",
      "anything is damaged."
    )
  ),
  Command.withShortDescription("Check every byte"),
  Command.withExamples([{ command: "ringfence files verify /var/lib/ringfence/orders", description: "Check a backup" }])
)

const peers = directoriesFlag("from", "The directory of another replica of the log")

const repair = Command.make(
  "repair",
  { ...input, peers },
  (input) =>
    configured(settings, input, ({ values }) =>
      Effect.gen(function*() {
        const repaired = yield* repairReplica(nodeDisk, nativeFileLock, input.dir, input.peers)
        const report: RepairedReport = { program: "files repair", ...repaired }
        yield* printReport(values.json, report, describeRepair)
      }))
).pipe(
  Command.withDescription(
    lines(
      "Writes what is damaged in a replica's directory again, with the batches of other replicas: of the first directory",
      "that has them. No process may write there meanwhile; those that are named may be in use. A damaged file stays as it",
      "is until the new one is on the disk. A server repairs its own replicas so by itself where it meets damage."
    )
  ),
  Command.withShortDescription("Write damaged files again, from another replica"),
  Command.withExamples([
    { command: "ringfence files repair /var/lib/orders --from /mnt/b/orders", description: "From the other replica" }
  ])
)

export const files = Command.make("files").pipe(
  Command.withDescription(
    "Inspects and repairs the directory of a replica: the log on disk, as docs/file-format.md describes it."
  ),
  Command.withShortDescription("Inspect and repair the log on disk"),
  Command.withSubcommands([ls, verifyCommand, repair])
)
