import { rpcCallsSuite } from "../suites/rpcCalls.ts"
import { rpcOrderSuite } from "../suites/rpcOrder.ts"
import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { memorySwarms } from "./swarmFamily.ts"

rpcResultsSuite(memorySwarms)
rpcCallsSuite(memorySwarms)
rpcOrderSuite(memorySwarms)
