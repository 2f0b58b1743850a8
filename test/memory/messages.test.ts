import { memorySwarms } from "../backends/memory/swarm.ts"
import { messengerDeliverySuite } from "../suites/messenger/delivery.ts"
import { messengerHandlersSuite } from "../suites/messenger/handlers.ts"

messengerDeliverySuite(memorySwarms)
messengerHandlersSuite(memorySwarms)
