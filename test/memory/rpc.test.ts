import { memorySwarms } from "../backends/memory/swarm.ts"
import { rpcCallsSuite } from "../suites/rpc/calls.ts"
import { rpcDamageSuite } from "../suites/rpc/damage.ts"
import { rpcEndingsSuite } from "../suites/rpc/endings.ts"
import { rpcOrderSuite } from "../suites/rpc/order.ts"
import { rpcResultsSuite } from "../suites/rpc/results.ts"

rpcResultsSuite(memorySwarms)
rpcCallsSuite(memorySwarms)
rpcEndingsSuite(memorySwarms)
rpcOrderSuite(memorySwarms)
rpcDamageSuite(memorySwarms)
