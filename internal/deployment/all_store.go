package deployment

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// listAll finds what identifies a deployment or an account by an index. A part of a name is
// compared with the rows in their order.
func listAll(ctx context.Context, r db.Reader, f FilterAll, p db.Page) ([]row, db.Listed, error) {
	l := deployments.List()
	l.Order, l.Down = db.NewestFirst.Sorting()
	var filters []db.Cond
	add := func(c db.Cond) { filters = append(filters, c) }
	switch text := strings.TrimSpace(f.Search); {
	case text == "":
	case id.ID(text).Valid(id.Deployment):
		add(db.Is(`id`, text))
	case id.ID(text).Valid(id.Account):
		add(db.Is(`account_id`, text))
	case isAddress(text):
		add(db.Is(`address`, text))
		l.Where = append(l.Where, db.Cond{Text: `address <> ''`}) // as the index has it
	default:
		l.Rest = append(l.Rest, nameOrAccountLike(text))
	}
	if f.Account != "" {
		add(db.Is(`account_id`, f.Account))
	}
	if f.GPUType != "" {
		add(db.Is(`gpu_type`, f.GPUType))
	}
	if len(f.Statuses) > 0 {
		add(db.IsOneOf(`status`, f.Statuses))
	}
	if f.Provider != "" {
		add(db.Is(`provider`, strings.ToLower(f.Provider)))
	}
	if len(filters) > 0 {
		l.Each, l.Rest = &filters[0], append(filters[1:], l.Rest...)
	}
	out, of, err := l.Page(ctx, r, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	return out, of, readTags(ctx, r, out)
}

// nameOrAccountLike is the condition that a part of the deployment's name, or of its account's, is
// the text.
func nameOrAccountLike(text string) db.Cond {
	like := db.Like(text)
	return db.Cond{Text: `(name_key LIKE ? ESCAPE '\' OR
		(SELECT account.name_key FROM account WHERE account.id = deployment.account_id) LIKE ? ESCAPE '\')`,
		Args: []any{like, like}}
}
