import { rpcOrderSuite } from "../suites/rpcOrder.ts"
import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { memorySwarms } from "./swarmFamily.ts"

rpcResultsSuite(memorySwarms)
rpcOrderSuite(memorySwarms)
