package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/billetcloud/billet/client"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// paging is which page of a list is wanted.
type paging struct {
	Page   int    `json:"page,omitempty" jsonschema:"which page, from 1; the first if left out"`
	Limit  int    `json:"limit,omitempty" jsonschema:"entries on a page, 1 to 100; 20 if left out"`
	Cursor string `json:"cursor,omitempty" jsonschema:"nextCursor of the page before, in place of page, with the same filters"`
}

func (p paging) of() client.Paging {
	return client.Paging{Page: p.Page, Limit: p.Limit, Cursor: p.Cursor}
}

// listed is a page of a list.
type listed[T any] struct {
	Items        []T     `json:"items"`
	Page         int     `json:"page"`
	TotalPages   int     `json:"totalPages"`
	Total        int     `json:"total"`
	TotalIsExact bool    `json:"totalIsExact" jsonschema:"false where there may be more entries than total"`
	NextCursor   *string `json:"nextCursor" jsonschema:"for the next page; null on the last"`
}

// page makes of a page of the API what is shown of it.
func page[T, U any](p *client.Page[T], err error, show func(T) U) (*listed[U], error) {
	if err != nil {
		return nil, err
	}
	out := &listed[U]{Items: make([]U, len(p.Items)), Page: p.Page, TotalPages: p.TotalPages, Total: p.Total, TotalIsExact: p.TotalIsExact, NextCursor: p.NextCursor}
	for i, item := range p.Items {
		out.Items[i] = show(item)
	}
	return out, nil
}

func same[T any](v T) T { return v }

// offer is what a list shows of an offer.
type offer struct {
	ID                    string              `json:"id"`
	GPUType               string              `json:"gpuType"`
	GPUCount              int                 `json:"gpuCount"`
	GPUMemoryGB           int                 `json:"gpuMemoryGb" jsonschema:"of one GPU"`
	HourlyPrice           client.Money        `json:"hourlyPrice" jsonschema:"US dollars for the whole machine"`
	HourlyPricePerGPU     client.Money        `json:"hourlyPricePerGpu"`
	Available             bool                `json:"available"`
	Stock                 *int                `json:"stock" jsonschema:"null where the provider does not say"`
	InstanceType          client.InstanceType `json:"instanceType"`
	Provider              string              `json:"provider"`
	Region                string              `json:"region"`
	MinimumRuntimeMinutes int                 `json:"minimumRuntimeMinutes"`
}

func offerShown(o client.Offer) offer {
	return offer{o.ID, o.GPUType, o.GPUCount, o.GPUMemoryGB, o.HourlyPrice, o.HourlyPricePerGPU, o.Available, o.Stock, o.InstanceType, o.Provider, o.Region, o.MinimumRuntimeMinutes}
}

// machine is what a list shows of a deployment.
type machine struct {
	ID              string                  `json:"id"`
	Name            string                  `json:"name"`
	Status          client.DeploymentStatus `json:"status"`
	StatusReason    *string                 `json:"statusReason"`
	GPUType         string                  `json:"gpuType"`
	GPUCount        int                     `json:"gpuCount"`
	Provider        string                  `json:"provider"`
	Region          string                  `json:"region"`
	SSHCommand      *string                 `json:"sshCommand" jsonschema:"null until SSH answers"`
	HourlyPrice     client.Money            `json:"hourlyPrice"`
	CostToDate      client.Money            `json:"costToDate"`
	CreatedAt       time.Time               `json:"createdAt"`
	AutoTerminateAt *time.Time              `json:"autoTerminateAt" jsonschema:"when it ends by itself; null for never"`
}

func machineShown(d client.Deployment) machine {
	return machine{d.ID, d.Name, d.Status, d.StatusReason, d.GPUType, d.GPUCount, d.Provider, d.Region, d.SSHCommand, d.HourlyPrice, d.CostToDate, d.CreatedAt, d.AutoTerminateAt}
}

// happened is an event of a deployment.
type happened struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
	CreatedAt time.Time       `json:"createdAt"`
}

type nothing struct{}

type findOffers struct {
	Search         string        `json:"search,omitempty" jsonschema:"words that must all occur in GPU type, provider, region or interconnect, such as: b200 dallas"`
	GPUCount       int           `json:"gpuCount,omitempty" jsonschema:"exactly so many GPUs"`
	MinGPUCount    int           `json:"minGpuCount,omitempty" jsonschema:"at least so many GPUs"`
	MaxHourlyPrice *client.Money `json:"maxHourlyPrice,omitempty" jsonschema:"US dollars an hour for the whole machine at most"`
	Provider       string        `json:"provider,omitempty" jsonschema:"slug of the provider"`
	Region         string        `json:"region,omitempty" jsonschema:"slug of the region"`
	InstanceType   string        `json:"instanceType,omitempty"`
	SoldOut        bool          `json:"soldOut,omitempty" jsonschema:"also what cannot be had now"`
	Sort           string        `json:"sort,omitempty" jsonschema:"price if left out; a leading hyphen is downwards"`
	paging
}

type ofOffer struct {
	OfferID string `json:"offerId" jsonschema:"off_…, from list_offers"`
}

type history struct {
	ofOffer
	Days int `json:"days,omitempty" jsonschema:"how many days back, up to 90; 7 if left out"`
}

type capacityWanted struct {
	Count          int           `json:"count,omitempty" jsonschema:"how many machines; 1 if left out"`
	GPUType        string        `json:"gpuType,omitempty" jsonschema:"the whole name, such as NVIDIA B200"`
	GPUCount       int           `json:"gpuCount,omitempty" jsonschema:"GPUs in each machine"`
	Provider       string        `json:"provider,omitempty" jsonschema:"slug of the provider"`
	Regions        []string      `json:"regions,omitempty" jsonschema:"slugs of regions, any of which will do"`
	MaxHourlyPrice *client.Money `json:"maxHourlyPrice,omitempty" jsonschema:"US dollars an hour for each machine at most"`
}

// capacity is whether so many machines can be had.
type capacity struct {
	Enough           bool         `json:"enough"`
	Found            int          `json:"found"`
	Certain          bool         `json:"certain" jsonschema:"false where a provider does not say how many it has"`
	TotalHourlyPrice client.Money `json:"totalHourlyPrice"`
	Offers           []share      `json:"offers"`
	// Shortfalls say why there are not enough.
	Shortfalls []client.Shortfall `json:"shortfalls" jsonschema:"what each region lacks, where there are not enough"`
}

type share struct {
	Offer offer `json:"offer"`
	Count int   `json:"count"`
}

type findDeployments struct {
	Status []string `json:"status,omitempty" jsonschema:"only these; all if left out, also those that have ended"`
	Search string   `json:"search,omitempty" jsonschema:"a part of the name"`
	Tag    string   `json:"tag,omitempty"`
	paging
}

type ofDeployment struct {
	DeploymentID string `json:"deploymentId" jsonschema:"dep_…, from list_deployments or deploy"`
}

type watched struct {
	ofDeployment
	WaitSeconds int `json:"waitSeconds,omitempty" jsonschema:"wait up to so many seconds, at most 50, until it is running or has ended; at once if left out"`
}

type eventsOf struct {
	ofDeployment
	paging
}

type interval struct {
	From time.Time `json:"from,omitzero" jsonschema:"beginning, RFC 3339"`
	To   time.Time `json:"to,omitzero" jsonschema:"end, RFC 3339; now if left out"`
}

type findTransactions struct {
	interval
	DeploymentID string `json:"deploymentId,omitempty" jsonschema:"only of this deployment"`
	paging
}

type usageWanted struct {
	interval
	GroupBy string `json:"groupBy,omitempty" jsonschema:"day if left out"`
}

// self is the key with what it may do here.
type self struct {
	Key      client.Key `json:"key"`
	MaySpend bool       `json:"maySpend" jsonschema:"whether the tools that spend work with this key"`
	Why      string     `json:"why,omitempty" jsonschema:"why they do not, and what to do"`
}

// longestWait is how long get_deployment waits at most, in seconds: less than patience.
const longestWait = 50

func (s *session) addReading(server *sdk.Server) {
	c := s.Client
	statuses := []string{"pending", "deploying", "running", "stopped", "terminating", "terminated", "failed", "interrupted"}
	instanceTypes := []string{"BARE_METAL", "VM", "SPOT", "CLUSTER", "DEDICATED"} // the last is VM, by another name

	add(server, about{name: "whoami", title: "Who am I", text: "The API key in use: its account, scopes, spending limits, what of them is used, and whether tools that spend work with it. Call it first, and after KEY_LIMIT_REACHED."},
		func(ctx context.Context, _ nothing) (*self, error) {
			k, err := c.Key.Get(ctx)
			if err != nil {
				return nil, err
			}
			out := &self{Key: *k, MaySpend: true}
			if r := refuse(k); r != nil {
				out.MaySpend, out.Why = false, r.Message+" "+r.WhatToDo
			}
			return out, nil
		})
	add(server, about{
		name: "list_offers", title: "List offers", text: "GPU machines that can be rented now, cheapest first, with live price and stock. Use it to choose an offerId.",
		words: map[string][]string{"instanceType": instanceTypes, "sort": {"price", "-price", "pricePerGpu", "-pricePerGpu", "gpuCount", "-gpuCount", "gpuMemoryGb", "-gpuMemoryGb"}},
	}, func(ctx context.Context, in findOffers) (*listed[offer], error) {
		q := client.OfferQuery{
			Paging: in.of(), Search: in.Search, GPUCount: in.GPUCount, MinGPUCount: in.MinGPUCount, MaxHourlyPrice: in.MaxHourlyPrice,
			Provider: in.Provider, Region: in.Region, InstanceType: client.InstanceType(in.InstanceType), Sort: in.Sort,
		}
		if !in.SoldOut {
			q.Available = new(true)
		}
		p, err := c.Offers.List(ctx, q)
		return page(p, err, offerShown)
	})
	add(server, about{name: "get_offer", title: "Get an offer", text: "Everything about one offer: processor, memory, storage, operating systems, minimum runtime, what its provider can do, and how reliably it starts. Use it before a quote."},
		func(ctx context.Context, in ofOffer) (*client.Offer, error) { return c.Offers.Get(ctx, in.OfferID) })
	add(server, about{name: "price_history", title: "Price history", text: "What an offer has cost, and when it could be had, in the last days. Use it to judge whether now is a good time."},
		func(ctx context.Context, in history) (*client.PriceHistory, error) {
			if in.Days <= 0 {
				in.Days = 7
			}
			return c.Offers.PriceHistory(ctx, in.OfferID, client.PriceHistoryQuery{From: s.Now().AddDate(0, 0, -min(in.Days, 90))})
		})
	add(server, about{name: "check_capacity", title: "Check capacity", text: "Whether several machines of a kind can be had now, and what they would cost together. Nothing is kept back."},
		func(ctx context.Context, in capacityWanted) (*capacity, error) {
			got, err := c.Offers.Check(ctx, client.CheckOffers{Count: in.Count, GPUType: in.GPUType, GPUCount: in.GPUCount, Provider: in.Provider, Regions: in.Regions, MaxHourlyPrice: in.MaxHourlyPrice})
			if err != nil {
				return nil, err
			}
			out := &capacity{Enough: got.Enough, Found: got.Found, Certain: got.Certain, TotalHourlyPrice: got.TotalHourlyPrice, Offers: make([]share, len(got.Offers)), Shortfalls: append([]client.Shortfall{}, got.Shortfalls...)}
			for i, o := range got.Offers {
				out.Offers[i] = share{offerShown(o.Offer), o.Count}
			}
			return out, nil
		})
	add(server, about{name: "list_deployments", title: "List deployments", text: "The account's machines, newest first, with status, cost so far and planned end.", words: map[string][]string{"status": statuses}},
		func(ctx context.Context, in findDeployments) (*listed[machine], error) {
			q := client.DeploymentQuery{Paging: in.of(), Search: in.Search, Tag: in.Tag}
			for _, status := range in.Status {
				q.Statuses = append(q.Statuses, client.DeploymentStatus(status))
			}
			p, err := c.Deployments.List(ctx, q)
			return page(p, err, machineShown)
		})
	add(server, about{name: "get_deployment", title: "Get a deployment", text: "Everything about one machine: status and its reason, progress, the SSH command and host keys, cost, planned end. With waitSeconds it waits until the machine runs, instead of asking again and again."},
		func(ctx context.Context, in watched) (*client.Deployment, error) {
			if in.WaitSeconds <= 0 {
				return c.Deployments.Get(ctx, in.DeploymentID)
			}
			limited, cancel := context.WithTimeout(ctx, time.Duration(min(in.WaitSeconds, longestWait))*time.Second)
			defer cancel()
			d, err := c.Deployments.WaitForRunning(limited, in.DeploymentID, nil)
			if gone := (*client.DeploymentEndedError)(nil); errors.As(err, &gone) {
				return gone.Deployment, nil
			}
			if err != nil && limited.Err() != nil && ctx.Err() == nil {
				return c.Deployments.Get(ctx, in.DeploymentID)
			}
			return d, err
		})
	add(server, about{name: "deployment_events", title: "Events of a deployment", text: "What happened to a machine, oldest first. Use it to find out why something failed."},
		func(ctx context.Context, in eventsOf) (*listed[happened], error) {
			p, err := c.Deployments.Events(ctx, in.DeploymentID, in.of())
			return page(p, err, func(e client.Event) happened { return happened{e.ID, e.Type, e.Data, e.CreatedAt} })
		})
	add(server, about{name: "can_terminate", title: "Can it be terminated", text: "What ending a machine now would bring back, or why it is too early. Its confirmToken is what terminate needs. Everything on the machine's own disks is lost by a terminate."},
		s.canTerminate)
	add(server, about{name: "get_wallet", title: "Get the wallet", text: "What money there is, what is set aside, what runs now and what it costs in an hour, and how long the money lasts."},
		func(ctx context.Context, _ nothing) (*client.Wallet, error) { return c.Wallet.Get(ctx) })
	add(server, about{name: "list_transactions", title: "List transactions", text: "The statement, newest first: holds, charges, refunds and credits. Use it to explain a cost."},
		func(ctx context.Context, in findTransactions) (*listed[client.Transaction], error) {
			p, err := c.Wallet.Transactions(ctx, client.TransactionQuery{Paging: in.of(), From: in.From, To: in.To, DeploymentID: in.DeploymentID})
			return page(p, err, same)
		})
	add(server, about{name: "get_usage", title: "Get usage", text: "What was spent, summed up by day, deployment, GPU type or provider; the last 30 days if no interval is given.", words: map[string][]string{"groupBy": {"day", "deployment", "gpuType", "provider"}}},
		func(ctx context.Context, in usageWanted) (*client.Usage, error) {
			return c.Wallet.Usage(ctx, client.UsageQuery{From: in.From, To: in.To, GroupBy: client.UsageGroup(in.GroupBy)})
		})
	add(server, about{name: "list_volumes", title: "List volumes", text: "Storage that outlives machines, with size, price and where it is attached. A deploy can attach what is of the offer's provider and region."},
		func(ctx context.Context, in paging) (*listed[client.Volume], error) {
			p, err := c.Volumes.List(ctx, client.VolumeQuery{Paging: in.of()})
			return page(p, err, same)
		})
	add(server, about{name: "list_ssh_keys", title: "List SSH keys", text: "Saved public keys. A quote names those that may log in to the machine."},
		func(ctx context.Context, in paging) (*listed[client.SSHKey], error) {
			p, err := c.SSHKeys.List(ctx, client.SSHKeyQuery{Paging: in.of()})
			return page(p, err, same)
		})
}
