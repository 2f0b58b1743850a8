import { memory } from "../backends/memory/log.ts"
import { identitiesSuite } from "../suites/log/identities.ts"

identitiesSuite(memory)
