import { messengerDeliverySuite } from "../suites/messengerDelivery.ts"
import { messengerHandlersSuite } from "../suites/messengerHandlers.ts"
import { memorySwarms } from "./swarmFamily.ts"

messengerDeliverySuite(memorySwarms)
messengerHandlersSuite(memorySwarms)
