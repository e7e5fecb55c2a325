module qunbot/bench/wordfilter

go 1.26.8

require (
	github.com/anknown/ahocorasick v0.0.0-20190904063843-d75dbd5169c0
	github.com/coregx/ahocorasick v0.2.1
	github.com/importcjj/sensitive v0.0.0-20200106142752-42d1c505be7b
	qunbot v0.0.0
)

require github.com/anknown/darts v0.0.0-20151216065714-83ff685239e6 // indirect

replace qunbot => ../..
