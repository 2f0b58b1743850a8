import { native } from "../backends/native/log.ts"
import { nativeSwarms } from "../backends/native/swarm.ts"
import { histories } from "../rounds.ts"
import { readingMixesSuite } from "../suites/log/readingMixes.ts"
import { rpcHistoriesSuite } from "../suites/rpc/histories.ts"

readingMixesSuite(native)
rpcHistoriesSuite(nativeSwarms, histories(3, 20))
