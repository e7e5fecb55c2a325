package draw

import (
	"context"
	"time"

	"qunbot/store"
	"qunbot/web/api"
)

// routes are the draws of the API.
func (f *feature) routes() []api.Route {
	return []api.Route{
		{Method: "GET", Path: "/draws", Summary: "全部抽奖，按先后", Spec: drawsSpec, Handle: f.apiDraws},
		{Method: "GET", Path: "/draws/{id}", Summary: "一场抽奖的公示记录，draw verify 能直接验证", Spec: drawSpec, Handle: f.apiDraw},
	}
}

// drawView is a draw as clients list it.
type drawView struct {
	ID        string          `json:"id"`
	Number    int64           `json:"number"`
	MallID    int64           `json:"mall_id"`
	Name      string          `json:"name"`
	State     store.DrawState `json:"state"`
	Entries   int             `json:"entries"`
	Deadline  *time.Time      `json:"deadline"`
	CreatedAt time.Time       `json:"created_at"`
	row       int64
}

const drawsSpec = `
parameters:
  - {$ref: "#/components/parameters/After"}
  - {$ref: "#/components/parameters/Limit"}
responses:
  "200":
    description: 抽奖，先办的在前
    headers:
      Link: {$ref: "#/components/headers/Next"}
    content:
      application/json:
        schema:
          type: array
          items:
            type: object
            required: [id, number, mall_id, name, state, entries, deadline, created_at]
            properties:
              id: {type: string, description: 公示页 /draws/ 后面的 10 位编号, pattern: "^[0-9A-Za-z]{10}$"}
              number: {type: integer, format: int64, description: 商场里的编号}
              mall_id: {type: integer, format: int64}
              name: {type: string}
              state: {type: string, enum: [open, closed, drawn, cancelled]}
              entries: {type: integer, description: 报名人数}
              deadline: {type: [string, "null"], format: date-time, description: 没有写的由运营截止}
              created_at: {type: string, format: date-time}
`

// apiDraws lists draws.
func (f *feature) apiDraws(ctx context.Context, tx *store.Tx, r api.Request) (any, error) {
	draws, err := tx.DrawsFrom(ctx, r.After, r.Limit)
	if err != nil {
		return nil, err
	}
	views := make([]drawView, len(draws))
	for i, d := range draws {
		views[i] = drawView{ID: d.PublicID, Number: d.Number, MallID: d.MallID, Name: d.Name, State: d.State,
			Entries: d.Entries, CreatedAt: d.CreatedAt.UTC(), row: d.ID}
		if d.Deadline != nil {
			t := d.Deadline.UTC()
			views[i].Deadline = &t
		}
	}
	return api.Paged(r, views, func(v drawView) int64 { return v.row }), nil
}

const drawSpec = `
parameters:
  - {name: id, in: path, required: true, description: 10 位编号, schema: {type: string, pattern: "^[0-9A-Za-z]{10}$"}}
responses:
  "200":
    description: 协议 qunbot-draw-1 的记录，每个字段见 docs/draw.md。报名名单在截止时公布，种子和中奖名单在开奖时公布；取消的抽奖也有记录
    content:
      application/json:
        schema:
          type: object
          required: [protocol, id, state, rules, commitment, entries, count, chain, public_value, seed, winners, alternates, reason]
          properties:
            protocol: {type: string, const: qunbot-draw-1}
            id: {type: string}
            state: {type: string, enum: [open, closed, drawn, cancelled]}
            rules: {type: object}
            commitment: {type: string}
            entries: {type: array, items: {type: object, properties: {pseudonym: {type: string}, code: {type: string}}}}
            count: {type: integer}
            chain: {type: string}
            public_value: {type: string}
            seed: {type: string}
            winners: {type: array, items: {type: object, properties: {prize: {type: integer}, entry: {type: integer}}}}
            alternates: {type: array, items: {type: integer}}
            reason: {type: string}
  "404": {$ref: "#/components/responses/NotFound"}
`

// apiDraw returns the record of one draw.
func (f *feature) apiDraw(ctx context.Context, tx *store.Tx, r api.Request) (any, error) {
	d, err := tx.DrawByPublicID(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return f.record(ctx, tx, d)
}
