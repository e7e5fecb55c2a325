package main

// lookalikes maps characters that nobody types for their own sake to the ones
// they are mistaken for. Only rare characters belong here: a common one, as 未
// beside 末, would change what honest texts say.
var lookalikes = pairs(
	// Rare Chinese characters.
	"曰日孑子孓子亼人亽人囗口冂门彐雪丅下丄上仩上囙因囬回笁天兲天芣不佢他妳你祂他"+
		"亱夜囍喜嫑不峯峰羣群吢心囝子忈仁忎仁囯国囻国圀国衆众厷厷洣米咑打嗹连"+
		"賺赚贘偿朩木汏大尐少尒尔尛小丩叫丂考戦战哋地啲的卟不芐下丗世伩信囟囟涐我莪我伱你恏好"+
		"亖四弍二弎三弐二壱一玖九捌八柒七叁三贰二貳二壹一",
	// Radicals, for which Unicode has no compatibility mapping.
	"⺀冫⺁厂⺂乙⺃乙⺄乙⺅亻⺆冂⺇几⺈刀⺉刂⺊卜⺋卩⺌小⺍小⺎兀⺏尢⺐尢⺑尢⺒巳⺓幺⺔彑⺕彐⺖忄⺗心⺘扌⺙攵⺛无⺜日⺝月⺞歹"+
		"⺟母⺠民⺡氵⺢水⺣灬⺤爪⺥爪⺦丬⺧牛⺨犭⺩王⺪疋⺫目⺬示⺭礻⺮竹⺯糸⺰纟⺱网⺲罒⺳网⺴网⺵网⺶羊⺷羊⺸羊⺹老⺺聿⺻聿"+
		"⺼肉⺽臼⺾艹⺿艹⻀艹⻁虎⻂衤⻃西⻄西⻅见⻆角⻇角⻈讠⻉贝⻊足⻋车⻌辶⻍辶⻎辶⻏邑⻐钅⻑长⻒长⻓长⻔门⻕阜⻖阝⻗雨⻘青"+
		"⻙韦⻚页⻛风⻜飞⻝食⻞食⻟饣⻠饣⻡首⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫齐⻬齐⻭齿⻮齿⻯龙⻰龙⻱龟⻲龟⻳龟",
	// Letters of other alphabets.
	"аaвbсcеeɡgнhіiјjкkмmоoрpѕsтtѵvхxуyԁdԛqԝwαaοoνvρpχxυuιiκkɑaɩiıiʋvᴀaʙbᴄcᴅdᴇeɢgʜhɪiᴊjᴋkʟlᴍmɴnᴏoᴘpʀrꜱsᴛtᴜuᴠvᴡwʏyᴢz√v∨vⅴvⓋv",
)

// pairs reads s as from, to, from, to …
func pairs(lists ...string) map[rune]rune {
	m := make(map[rune]rune)
	for _, s := range lists {
		rs := []rune(s)
		for i := 0; i+1 < len(rs); i += 2 {
			if rs[i] != rs[i+1] {
				m[rs[i]] = rs[i+1]
			}
		}
	}
	return m
}
