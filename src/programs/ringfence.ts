#!/usr/bin/env node
/**
 * `ringfence`: serve, publish, subscribe, members of a swarm, and programs that show and measure both.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

import { bench } from "./bench.ts"
import { joinNegativeValues } from "./command-line.ts"
import { demo } from "./demo.ts"
import { doctor } from "./doctor.ts"
import { exitCodesText, reportFailure } from "./exit.ts"
import { layerLogLines } from "./log-lines.ts"
import { runMain } from "./main.ts"
import { publish } from "./publish.ts"
import { serve } from "./serve.ts"
import { quietStreams } from "./standard-streams.ts"
import { subscribe } from "./subscribe.ts"
import { swarm } from "./swarm.ts"
import { lines, presenter } from "./usage.ts"
import { version } from "./version.ts"

const ringfence = Command.make("ringfence").pipe(
  Command.withDescription(
    lines(
      "A totally ordered, acknowledged log in shared memory, and swarms of processes that meet at barriers, on one host.",
      "",
      "See all of it at work:   ringfence demo",
      "Or use it:               ringfence serve --topic lines       in one terminal",
      "                         ringfence subscribe lines --follow  in another",
      "                         ringfence publish lines FILE        in a third",
      "A swarm of processes:    ringfence swarm --coordinator       and  ringfence swarm --name NAME",
      "",
      "Settings come from flags, then from RINGFENCE_* variables, then from defaults; --print-config shows them.",
      `Exit codes: ${exitCodesText}.`
    )
  ),
  Command.withSubcommands([serve, publish, subscribe, swarm, doctor, demo, bench])
)

const layer = Layer.mergeAll(
  NodeServices.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  CliOutput.layerPresenter(presenter),
  layerLogLines
)

process.argv.splice(2, Infinity, ...joinNegativeValues(process.argv.slice(2)))

quietStreams.pipe(
  Effect.andThen(Command.run(ringfence, { version: version() })),
  reportFailure,
  Effect.provide(layer),
  runMain
)
