package volume

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// listAll finds what identifies a volume, its deployment or its account by an index. A part of a
// name is compared with the rows in their order.
func listAll(ctx context.Context, r db.Reader, f FilterAll, p db.Page) ([]record, db.Listed, error) {
	l := volumes.List()
	l.Order, l.Down = db.NewestFirst.Sorting()
	var filters []db.Cond
	add := func(c db.Cond) { filters = append(filters, c) }
	switch text := strings.TrimSpace(f.Search); {
	case text == "":
	case id.ID(text).Valid(id.Volume):
		add(db.Is(`id`, text))
	case id.ID(text).Valid(id.Deployment):
		add(db.Is(`deployment_id`, text))
		l.Where = append(l.Where, db.Cond{Text: `deployment_id <> ''`}) // as the index has it
	case id.ID(text).Valid(id.Account):
		add(db.Is(`account_id`, text))
	default:
		l.Rest = append(l.Rest, nameOrAccountLike(text))
	}
	if f.Account != "" {
		add(db.Is(`account_id`, f.Account))
	}
	if len(f.Statuses) > 0 {
		add(db.IsOneOf(`status`, f.Statuses))
	} else {
		l.Where = append(l.Where, db.Cond{Text: `status <> 'deleted'`})
	}
	if f.Provider != "" {
		add(db.Is(`provider`, strings.ToLower(f.Provider)))
	}
	if len(filters) > 0 {
		l.Each, l.Rest = &filters[0], append(filters[1:], l.Rest...)
	}
	return l.Page(ctx, r, p)
}

// nameOrAccountLike is the condition that a part of the volume's name, or of its account's, is the
// text.
func nameOrAccountLike(text string) db.Cond {
	like := db.Like(text)
	return db.Cond{Text: `(name_key LIKE ? ESCAPE '\' OR
		(SELECT account.name_key FROM account WHERE account.id = volume.account_id) LIKE ? ESCAPE '\')`,
		Args: []any{like, like}}
}
