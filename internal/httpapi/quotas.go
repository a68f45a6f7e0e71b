package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/billetcloud/billet/internal/rest"
)

// quotas are how much an account may have at once.
type quotas struct {
	db  *db.DB
	svc *operator.Service
}

func (h quotas) routes(r *rest.Router) {
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: AccountBase + "/quotas", ID: "getQuotas", Tag: tagAccount,
		Scope: string(account.ReadDeployments), Summary: "Get quotas",
		Description: "How much the account may have at once, and what it uses. A request beyond it is refused with " +
			"QUOTA_EXCEEDED. Only the operator changes quotas.",
	}, h.get)
	const one, all = OperatorBase + "/accounts/{id}/quotas", OperatorBase + "/quotas"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getAccountQuotas", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get an account's quotas",
	}, h.getOne)
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: one, ID: "setAccountQuotas", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Set an account's quotas",
		Description: "Replaces all of them: null, or omitted, is the default. What exists beyond a lower quota stays.",
	}, h.setOne)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "getDefaultQuotas", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get the default quotas",
	}, h.getDefaults)
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: all, ID: "setDefaultQuotas", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Set the default quotas",
		Description: "For all accounts, where they have no own ones. " +
			"Replaces all of them: null, or omitted, is no limit.",
	}, h.setDefaults)
}

// quotaBody is a new set of limits.
type quotaBody struct {
	Machines    rest.SetOrNull[int64]        `json:"machines,omitempty" doc:"Deployments that have not ended."`
	GPUs        rest.SetOrNull[int64]        `json:"gpus,omitempty" doc:"GPUs of these deployments."`
	HourlySpend rest.SetOrNull[money.Micros] `json:"hourlySpend,omitempty" doc:"US dollars per hour of deployments and volumes together."`
	Volumes     rest.SetOrNull[int64]        `json:"volumes,omitempty" doc:"Volumes that are not deleted."`
	VolumeGB    rest.SetOrNull[int64]        `json:"volumeGb,omitempty" doc:"Size of these volumes in decimal GB, together."`
}

func (b quotaBody) limits() quota.Limits {
	return quota.Limits{
		Machines: b.Machines.Value, GPUs: b.GPUs.Value, HourlySpend: b.HourlySpend.Value, Volumes: b.Volumes.Value,
		VolumeGB: b.VolumeGB.Value,
	}
}

type setAccountQuotas struct {
	accountPath
	Body quotaBody
}

type setDefaultQuotas struct{ Body quotaBody }

// quotaView is what an account may have, and has.
type quotaView struct {
	Limits quota.Limits `json:"limits" doc:"The most that the account may have at once; null means no limit."`
	Used   quota.Usage  `json:"used" doc:"What it uses now."`
}

func (h quotas) get(ctx context.Context, c *rest.Call, _ *rest.NoInput) (out quotaView, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if out.Limits, err = quota.Of(ctx, tx, c.Caller.Account); err != nil {
			return err
		}
		out.Used, err = h.svc.Used(ctx, tx, c.Caller.Account)
		return err
	})
	return out, err
}

func (h quotas) getOne(ctx context.Context, _ *rest.Call, in *accountPath) (out operator.Quotas, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = h.svc.Quotas(ctx, tx, in.ID)
		return err
	})
	return out, err
}

func (h quotas) setOne(ctx context.Context, tx *db.Tx, c *rest.Call, in *setAccountQuotas) (operator.Quotas, error) {
	c.Change.Account = in.ID
	return h.svc.SetQuotas(ctx, tx, in.ID, in.Body.limits())
}

func (h quotas) getDefaults(ctx context.Context, _ *rest.Call, _ *rest.NoInput) (quota.Limits, error) {
	return quota.Defaults(ctx, h.db)
}

func (h quotas) setDefaults(ctx context.Context, tx *db.Tx, _ *rest.Call, in *setDefaultQuotas) (quota.Limits, error) {
	l := in.Body.limits()
	return l, quota.SetDefaults(ctx, tx, l)
}
