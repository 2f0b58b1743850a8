/**
 * Runs a command line as this process: parses it, reports a failure in one line, and ends with its exit code.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { joinNegativeValues } from "./command-line.ts"
import { type CodedError, reportFailure } from "./exit.ts"
import { layerLogLines } from "./log-lines.ts"
import { runMain, type Termination } from "./main.ts"
import { quietStreams } from "./streams.ts"
import { presenter } from "./usage.ts"
import { version } from "./version.ts"

export const runCommand = <const Name extends string, Input, ContextInput, E extends CodedError>(
  command: Command.Command<Name, Input, ContextInput, E, NodeServices.NodeServices | Termination>
): void => {
  process.argv.splice(2, Infinity, ...joinNegativeValues(process.argv.slice(2)))
  quietStreams.pipe(
    Effect.andThen(Command.run(command, { version: version() })),
    reportFailure,
    Effect.provide(layer),
    runMain
  )
}

// --- internal ---

const layer = Layer.mergeAll(
  NodeServices.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  CliOutput.layerPresenter(presenter),
  layerLogLines
)
