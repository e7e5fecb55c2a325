// Package wecom is everything that speaks WeCom (企业微信): the callback cipher,
// the envelopes around it, the messages inside, and their size limits.
//
// A callback is opened in three steps, each of which may refuse it:
//
//	body ──ParseDelivery──▶ Delivery ──Cipher.Open──▶ plaintext ──ParseAibotCallback──▶ AibotCallback
//
// [Cipher.OpenPost] does the first two. A reply goes the other way:
//
//	AibotReply ──JSON──▶ plaintext ──Cipher.Seal──▶ Envelope ──JSON or XML──▶ body
//
// Callbacks of the self-built app are XML and become an [AppCallback], their
// replies [AppText]. Those of 微信客服 carry no message: a [KF] pulls what they
// announce, and everything that customers of service accounts say and are told
// goes through it.
//
// Every format is both read and written here, because the simulator plays the
// platform's side of the same conversation.
package wecom
