package wecom

import (
	"context"
	"fmt"

	"qunbot/store"
)

// sendFailed notes that a message which the platform took did not arrive: at
// the message, and at the post that it was.
func (k *KF) sendFailed(ctx context.Context, e kfEntry) error {
	k.Log.Warn("message to a customer did not arrive", "account", e.Account, "msgid", e.Event.FailMsgID, "fail_type", e.Event.FailType)
	if e.Event.FailMsgID == "" {
		return nil
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		if err := tx.SetKFSend(ctx, e.Event.FailMsgID, store.KFFailed); err != nil {
			return err
		}
		_, err := tx.FailSentPost(ctx, kfLane(e.Account, e.Customer), e.Event.FailMsgID, failWords(e.Event.FailType), k.Now())
		return err
	})
}

// failWords says in plain words why a message did not arrive, and what can be
// done.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670
func failWords(failType int) string {
	const later = "等顾客再说一句话，就可以重发。"
	switch failType {
	case 1:
		return "没有送达：客服账号已被删除。"
	case 2:
		return "没有送达：应用已停用。请在企业微信管理后台启用后重发。"
	case 4:
		return "没有送达：顾客上次说话已超过 48 小时。" + later
	case 5:
		return "没有送达：会话已经结束。" + later
	case 6:
		return "没有送达：顾客说话后已发满 5 条。" + later
	case 7, 9:
		return "没有送达：企业没有绑定视频号。请在管理后台绑定后重发。"
	case 8:
		return "没有送达：企业没有认证，能服务的顾客数已满。请认证后重发。"
	case 10:
		return "没有送达：顾客拒收这个客服的消息，重发也不会送达。"
	case 11:
		return "没有送达：企业还没有成员登录过企业微信 App。请登录后重发。"
	case 12:
		return "没有送达：顾客用的客服组件不支持这种消息。"
	case 13:
		return "没有送达：企业微信的安全限制。请改掉可能违规的内容另发，不要重发。"
	}
	return fmt.Sprintf("没有送达：企业微信没有说原因（类型 %d）。可以重发。", failType)
}
