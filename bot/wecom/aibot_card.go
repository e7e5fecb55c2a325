package wecom

// Kinds of card (card_type) and what each must have.
//
// Source: https://developer.work.weixin.qq.com/document/path/101032
const (
	CardTextNotice          = "text_notice"          // CardAction; MainTitle.Title or SubTitleText
	CardNewsNotice          = "news_notice"          // MainTitle, CardAction; CardImage or ImageTextArea
	CardButtonInteraction   = "button_interaction"   // MainTitle, ButtonList, TaskID
	CardVoteInteraction     = "vote_interaction"     // MainTitle, Checkbox, SubmitButton, TaskID
	CardMultipleInteraction = "multiple_interaction" // MainTitle, SelectList, SubmitButton, TaskID
)

// A TemplateCard is a message with a layout and perhaps buttons. Where a
// number of characters is given the platform cuts what is longer; other limits
// it enforces. Lengths in characters are approximate.
//
// Source: https://developer.work.weixin.qq.com/document/path/101032
type TemplateCard struct {
	CardType              string               `json:"card_type"`
	Source                *CardSource          `json:"source,omitempty"`
	ActionMenu            *CardActionMenu      `json:"action_menu,omitempty"`      // needs a TaskID
	MainTitle             *CardTitle           `json:"main_title,omitempty"`       // 26 and 30 characters
	EmphasisContent       *CardTitle           `json:"emphasis_content,omitempty"` // 10 and 15 characters
	CardImage             *CardImage           `json:"card_image,omitempty"`
	ImageTextArea         *CardImageText       `json:"image_text_area,omitempty"`
	QuoteArea             *CardQuote           `json:"quote_area,omitempty"`
	SubTitleText          string               `json:"sub_title_text,omitempty"`          // 112 characters
	VerticalContentList   []CardTitle          `json:"vertical_content_list,omitempty"`   // at most 4
	HorizontalContentList []CardHorizontalItem `json:"horizontal_content_list,omitempty"` // at most 6
	JumpList              []CardJump           `json:"jump_list,omitempty"`               // at most 3
	CardAction            *CardAction          `json:"card_action,omitempty"`
	ButtonSelection       *CardSelect          `json:"button_selection,omitempty"`
	Checkbox              *CardCheckbox        `json:"checkbox,omitempty"`
	SelectList            []CardSelect         `json:"select_list,omitempty"` // at most 3
	ButtonList            []CardButton         `json:"button_list,omitempty"` // at most 6
	SubmitButton          *CardButton          `json:"submit_button,omitempty"`

	// TaskID is unique per bot, of ASCII letters, digits and "_-@", at most
	// MaxTaskIDBytes. A card with a button or a menu needs one.
	TaskID   string         `json:"task_id,omitempty"`
	Feedback *AibotFeedback `json:"feedback,omitempty"`
}

// CardSource is the small line on top of a card.
type CardSource struct {
	IconURL   string `json:"icon_url,omitempty"`
	Desc      string `json:"desc,omitempty"`       // 13 characters
	DescColor int    `json:"desc_color,omitempty"` // 0 grey, 1 black, 2 red, 3 green
}

// CardTitle is a title with a line below it.
type CardTitle struct {
	Title string `json:"title,omitempty"`
	Desc  string `json:"desc,omitempty"`
}

// CardActionMenu is the menu at the top right of a card.
type CardActionMenu struct {
	Desc       string       `json:"desc,omitempty"`
	ActionList []CardButton `json:"action_list"` // 1 to 3, without styles
}

// CardButton is a button or a menu entry. Pressing it is an EventCard.
type CardButton struct {
	Text  string `json:"text"`            // 10 characters
	Style int    `json:"style,omitempty"` // 1 to 4, in a button list only
	Key   string `json:"key"`             // at most 1024 bytes, unique in the card; the event's EventKey
}

// CardImage is the picture of a news card.
type CardImage struct {
	URL         string  `json:"url"`
	AspectRatio float64 `json:"aspect_ratio,omitempty"` // width by height, 1.3 (default) to 2.25
}

// CardAction is where a press on the card leads.
type CardAction struct {
	Type     int    `json:"type"` // 0 nowhere, 1 URL, 2 mini program
	URL      string `json:"url,omitempty"`
	AppID    string `json:"appid,omitempty"`
	PagePath string `json:"pagepath,omitempty"`
}

// CardImageText is a picture with text to its right.
type CardImageText struct {
	CardAction
	Title    string `json:"title,omitempty"`
	Desc     string `json:"desc,omitempty"`
	ImageURL string `json:"image_url"`
}

// CardQuote is a quotation.
type CardQuote struct {
	CardAction
	Title     string `json:"title,omitempty"`
	QuoteText string `json:"quote_text,omitempty"`
}

// CardHorizontalItem is a line with a name on the left and a value on the
// right.
type CardHorizontalItem struct {
	Type    int    `json:"type,omitempty"`  // 0 text, 1 URL, 3 member
	KeyName string `json:"keyname"`         // 5 characters
	Value   string `json:"value,omitempty"` // 26 characters
	URL     string `json:"url,omitempty"`
	UserID  string `json:"userid,omitempty"`
}

// CardJump is a line that leads somewhere.
type CardJump struct {
	Type     int    `json:"type"`  // 0 nowhere, 1 URL, 2 mini program, 3 asks the bot Question
	Title    string `json:"title"` // 13 characters
	URL      string `json:"url,omitempty"`
	AppID    string `json:"appid,omitempty"`
	PagePath string `json:"pagepath,omitempty"`
	Question string `json:"question,omitempty"` // at most 200 bytes
}

// CardCheckbox is the question of a vote card.
type CardCheckbox struct {
	QuestionKey string       `json:"question_key"` // at most 1024 bytes, unique in the card
	Mode        int          `json:"mode"`         // 0 one option, 1 several
	Disable     bool         `json:"disable,omitempty"`
	OptionList  []CardOption `json:"option_list"` // 1 to 20
}

// CardSelect is a drop-down list.
type CardSelect struct {
	QuestionKey string       `json:"question_key"` // at most 1024 bytes, unique in the card
	Title       string       `json:"title,omitempty"`
	Disable     bool         `json:"disable,omitempty"`
	SelectedID  string       `json:"selected_id,omitempty"`
	OptionList  []CardOption `json:"option_list"` // 1 to 10
}

// CardOption is one answer to choose.
type CardOption struct {
	ID        string `json:"id"` // at most 128 bytes, unique in its question
	Text      string `json:"text"`
	IsChecked bool   `json:"is_checked,omitempty"` // in a checkbox only
}
