// Package simulator is a WeCom (企业微信) for a laptop. It plays the platform's
// side: it serves the API that a service calls, posts the encrypted callbacks
// that a service answers, and shows the chats in a browser at /sim/, so that a
// bot can be tried without an account and without a network.
//
// It meets a service only the way WeCom does, over HTTP: what it shows of a
// service's inside it has measured, or read from the Server-Timing header of
// the answer.
//
// It knows chats with a bot, group robots with a webhook, app messages and the
// chats that apps make, and 微信客服. What goes wrong on purpose and what time
// it is can be set: see Simulator.SetFault and Simulator.Advance, and the drawer
// 「故障与时钟」 of the page.
//
//	sim, err := simulator.New(simulator.Config{…})
//	sim.Mount(mux)         // /cgi-bin/…, /connect/oauth2/authorize, /sim/…
//	go sim.Run(ctx)        // verifies callback URLs and delivers messages
//
// What it knows lives in memory and is gone when it ends.
package simulator
