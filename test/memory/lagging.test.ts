import { memory } from "../backends/memory/log.ts"
import { laggingSuite } from "../suites/log/lagging.ts"

laggingSuite(memory)
