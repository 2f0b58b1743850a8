import { memory } from "../backends/memory/log.ts"
import { memorySwarms } from "../backends/memory/swarm.ts"
import { histories } from "../rounds.ts"
import { readingMixesSuite } from "../suites/log/readingMixes.ts"
import { rpcHistoriesSuite } from "../suites/rpc/histories.ts"

readingMixesSuite(memory)
rpcHistoriesSuite(memorySwarms, histories(10, 40))
