import { nativeSwarms } from "../backends/native/swarm.ts"
import { messengerDeliverySuite } from "../suites/messenger/delivery.ts"
import { messengerHandlersSuite } from "../suites/messenger/handlers.ts"

messengerDeliverySuite(nativeSwarms)
messengerHandlersSuite(nativeSwarms)
