#!/usr/bin/env node
/**
 * `ringfence`: serve, publish, subscribe, members of a swarm, and commands that demonstrate and measure both.
 */
import * as Command from "effect/cli/Command"

import { bench } from "./bench.ts"
import { exitCodesText } from "./cli/exit.ts"
import { runCommand } from "./cli/run-command.ts"
import { lines } from "./cli/usage.ts"
import { demo } from "./demo.ts"
import { doctor } from "./doctor.ts"
import { files } from "./files.ts"
import { publish } from "./publish.ts"
import { replica } from "./replica.ts"
import { serve } from "./serve.ts"
import { subscribe } from "./subscribe.ts"
import { swarm } from "./swarm.ts"

const ringfence = Command.make("ringfence").pipe(
  Command.withDescription(
    lines(
      "A totally ordered, acknowledged log in shared memory, and swarms of processes that meet at barriers, on one host.",
      "",
      "See it at work:          ringfence demo",
      "Or use it:               ringfence serve --topic lines       in one terminal",
      "                         ringfence subscribe lines --follow  in another",
      "                         ringfence publish lines FILE        in a third",
      "A swarm of processes:    ringfence swarm --coordinator       and  ringfence swarm --name NAME",
      "",
      "Settings come from flags, then from RINGFENCE_* variables, then from defaults; --print-config shows them.",
      `Exit codes: ${exitCodesText}.`
    )
  ),
  Command.withSubcommands([serve, publish, subscribe, replica, swarm, doctor, files, demo, bench])
)

runCommand(ringfence)
