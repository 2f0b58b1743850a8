import { memory } from "../backends/memory/log.ts"
import { durableSuite, durableTakeoverSuite } from "../suites/log/durable.ts"

durableSuite(memory)
durableTakeoverSuite(memory)
