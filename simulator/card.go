package simulator

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"qunbot/bot/wecom"
)

// What is wrong with a pressed button.
var (
	errNoCard   = errors.New("没有这张卡片")
	errNoButton = errors.New("卡片上没有这个按钮")
)

// taskIDForm is what a task_id may look like; its length is checked elsewhere.
var taskIDForm = regexp.MustCompile(`^[0-9A-Za-z_\-@]*$`)

// checkCard returns what WeCom would refuse in a card. A nil card is fine.
//
// Source: https://developer.work.weixin.qq.com/document/path/101032
func checkCard(c *wecom.TemplateCard) error {
	if c == nil {
		return nil
	}
	var problems []error
	need := func(ok bool, what string) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s 卡片缺 %s", c.CardType, what))
		}
	}
	most := func(got, limit int, what string) {
		if got > limit {
			problems = append(problems, fmt.Errorf("卡片的 %s 有 %d 项，最多 %d 项", what, got, limit))
		}
	}
	titled := c.MainTitle != nil && c.MainTitle.Title != ""
	switch c.CardType {
	case wecom.CardTextNotice:
		need(c.CardAction != nil, "card_action")
		need(titled || c.SubTitleText != "", "main_title.title 或 sub_title_text")
	case wecom.CardNewsNotice:
		need(titled, "main_title")
		need(c.CardAction != nil, "card_action")
		need(c.CardImage != nil || c.ImageTextArea != nil, "card_image 或 image_text_area")
	case wecom.CardButtonInteraction:
		need(titled, "main_title")
		need(len(c.ButtonList) > 0, "button_list")
		need(c.TaskID != "", "task_id")
	case wecom.CardVoteInteraction:
		need(titled, "main_title")
		need(c.Checkbox != nil, "checkbox")
		need(c.SubmitButton != nil, "submit_button")
		need(c.TaskID != "", "task_id")
	case wecom.CardMultipleInteraction:
		need(titled, "main_title")
		need(len(c.SelectList) > 0, "select_list")
		need(c.SubmitButton != nil, "submit_button")
		need(c.TaskID != "", "task_id")
	default:
		problems = append(problems, fmt.Errorf("没有 %q 这种卡片", c.CardType))
	}
	if !taskIDForm.MatchString(c.TaskID) {
		problems = append(problems, errors.New("task_id 只能有字母、数字和 _-@"))
	}
	need(c.ActionMenu == nil || c.TaskID != "", "task_id")
	most(len(c.ButtonList), 6, "button_list")
	most(len(c.HorizontalContentList), 6, "horizontal_content_list")
	most(len(c.VerticalContentList), 4, "vertical_content_list")
	most(len(c.JumpList), 3, "jump_list")
	most(len(c.SelectList), 3, "select_list")
	return errors.Join(problems...)
}

// hasButton reports whether a button with this key is on the card.
func hasButton(c *wecom.TemplateCard, key string) bool {
	buttons := slices.Clone(c.ButtonList)
	if c.SubmitButton != nil {
		buttons = append(buttons, *c.SubmitButton)
	}
	if c.ActionMenu != nil {
		buttons = append(buttons, c.ActionMenu.ActionList...)
	}
	return slices.ContainsFunc(buttons, func(b wecom.CardButton) bool { return b.Key == key })
}
