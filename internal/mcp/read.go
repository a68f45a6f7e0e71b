package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/billetcloud/billet/client"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// paging selects a page of a list.
type paging struct {
	Page   int    `json:"page,omitempty" jsonschema:"page number, from 1; default: 1"`
	Limit  int    `json:"limit,omitempty" jsonschema:"entries per page, 1 to 100; default: 20"`
	Cursor string `json:"cursor,omitempty" jsonschema:"nextCursor of the previous page, instead of page, with the same filters"`
}

func (p paging) of() client.Paging {
	return client.Paging{Page: p.Page, Limit: p.Limit, Cursor: p.Cursor}
}

// listed is one page of a list.
type listed[T any] struct {
	Items        []T     `json:"items"`
	Page         int     `json:"page"`
	TotalPages   int     `json:"totalPages"`
	Total        int     `json:"total"`
	TotalIsExact bool    `json:"totalIsExact" jsonschema:"false if there can be more entries than total"`
	NextCursor   *string `json:"nextCursor" jsonschema:"cursor of the next page; null on the last"`
	// Warnings are the API's: an empty list of offers may have a misspelled filter as its reason.
	Warnings []client.FieldError `json:"warnings,omitempty" jsonschema:"filters that match nothing because the value is unknown"`
}

// page converts a page of the API.
func page[T, U any](p *client.Page[T], err error, show func(T) U) (*listed[U], error) {
	if err != nil {
		return nil, err
	}
	out := &listed[U]{
		Items: make([]U, len(p.Items)), Page: p.Page, TotalPages: p.TotalPages,
		Total: p.Total, TotalIsExact: p.TotalIsExact, NextCursor: p.NextCursor, Warnings: p.Warnings,
	}
	for i, item := range p.Items {
		out.Items[i] = show(item)
	}
	return out, nil
}

func same[T any](v T) T { return v }

// offer summarizes an offer.
type offer struct {
	OfferID               string              `json:"offerId" jsonschema:"for get_offer, price_history and quote"`
	GPUType               string              `json:"gpuType"`
	GPUCount              int                 `json:"gpuCount"`
	GPUMemoryGB           int                 `json:"gpuMemoryGb" jsonschema:"per GPU"`
	HourlyPrice           client.Money        `json:"hourlyPrice" jsonschema:"US dollars for the whole machine"`
	HourlyPricePerGPU     client.Money        `json:"hourlyPricePerGpu"`
	Available             bool                `json:"available"`
	Stock                 *int                `json:"stock" jsonschema:"null if the provider does not report it"`
	InstanceType          client.InstanceType `json:"instanceType"`
	Provider              string              `json:"provider"`
	Region                string              `json:"region"`
	MinimumRuntimeMinutes int                 `json:"minimumRuntimeMinutes"`
}

func offerSummary(o client.Offer) offer {
	return offer{
		o.ID, o.GPUType, o.GPUCount, o.GPUMemoryGB, o.HourlyPrice, o.HourlyPricePerGPU,
		o.Available, o.Stock, o.InstanceType, o.Provider, o.Region, o.MinimumRuntimeMinutes,
	}
}

// machine summarizes a deployment.
type machine struct {
	ID              string                  `json:"id"`
	Name            string                  `json:"name"`
	Status          client.DeploymentStatus `json:"status"`
	StatusReason    *string                 `json:"statusReason"`
	GPUType         string                  `json:"gpuType"`
	GPUCount        int                     `json:"gpuCount"`
	Provider        string                  `json:"provider"`
	Region          string                  `json:"region"`
	SSHCommand      *string                 `json:"sshCommand" jsonschema:"null until SSH is reachable"`
	HourlyPrice     client.Money            `json:"hourlyPrice"`
	CostToDate      client.Money            `json:"costToDate"`
	Tags            []string                `json:"tags"`
	Project         *string                 `json:"project" jsonschema:"null for none"`
	CreatedBy       client.Creator          `json:"createdBy"`
	CreatedAt       time.Time               `json:"createdAt"`
	AutoTerminateAt *time.Time              `json:"autoTerminateAt" jsonschema:"null if it does not auto-terminate"`
	EndsAt          *time.Time              `json:"endsAt" jsonschema:"when autoTerminateAt, maxRuntimeMinutes or maxSpend terminates it; null if none is set or that is not known yet"`
}

func machineSummary(d client.Deployment) machine {
	return machine{
		d.ID, d.Name, d.Status, d.StatusReason, d.GPUType, d.GPUCount, d.Provider, d.Region,
		d.SSHCommand, d.HourlyPrice, d.CostToDate, d.Tags, d.Project, d.CreatedBy, d.CreatedAt, d.AutoTerminateAt,
		d.EndsAt,
	}
}

// deploymentEvent is an event of a deployment.
type deploymentEvent struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
	CreatedAt time.Time       `json:"createdAt"`
}

type noInput struct{}

type listOffersInput struct {
	Search         string        `json:"search,omitempty" jsonschema:"words that must each occur in the GPU type, provider, region or interconnect, such as: b200 dallas"`
	GPUCount       int           `json:"gpuCount,omitempty" jsonschema:"exact number of GPUs"`
	MinGPUCount    int           `json:"minGpuCount,omitempty" jsonschema:"minimum number of GPUs"`
	MaxHourlyPrice *client.Money `json:"maxHourlyPrice,omitempty" jsonschema:"maximum price per machine and hour, in US dollars"`
	Provider       string        `json:"provider,omitempty" jsonschema:"slug of the provider"`
	Region         string        `json:"region,omitempty" jsonschema:"slug of the region"`
	InstanceType   string        `json:"instanceType,omitempty"`
	SoldOut        bool          `json:"soldOut,omitempty" jsonschema:"include sold-out offers"`
	Sort           string        `json:"sort,omitempty" jsonschema:"default: price; prefix - for descending"`
	paging
}

type offerInput struct {
	OfferID string `json:"offerId" jsonschema:"off_…, from list_offers"`
}

type historyInput struct {
	offerInput
	Days int `json:"days,omitempty" jsonschema:"number of days, up to 90; default: 7"`
}

type capacityInput struct {
	Count          int           `json:"count,omitempty" jsonschema:"number of machines; default: 1"`
	GPUType        string        `json:"gpuType,omitempty" jsonschema:"full name, such as NVIDIA B200"`
	GPUCount       int           `json:"gpuCount,omitempty" jsonschema:"GPUs per machine"`
	Provider       string        `json:"provider,omitempty" jsonschema:"slug of the provider"`
	Regions        []string      `json:"regions,omitempty" jsonschema:"slugs of acceptable regions"`
	MaxHourlyPrice *client.Money `json:"maxHourlyPrice,omitempty" jsonschema:"maximum price per machine and hour, in US dollars"`
}

// capacity is the result of check_capacity.
type capacity struct {
	Enough           bool               `json:"enough"`
	Found            int                `json:"found"`
	Certain          bool               `json:"certain" jsonschema:"false if a provider does not report its stock"`
	TotalHourlyPrice client.Money       `json:"totalHourlyPrice"`
	Offers           []share            `json:"offers"`
	Shortfalls       []client.Shortfall `json:"shortfalls" jsonschema:"what each region lacks, if capacity is insufficient"`
}

type share struct {
	Offer offer `json:"offer"`
	Count int   `json:"count"`
}

type listDeploymentsInput struct {
	Status    []string `json:"status,omitempty" jsonschema:"only these statuses; default: all, including ended deployments"`
	Search    string   `json:"search,omitempty" jsonschema:"part of the name, a tag, the address or the id"`
	Tag       string   `json:"tag,omitempty"`
	Project   string   `json:"project,omitempty"`
	CreatedBy string   `json:"createdBy,omitempty" jsonschema:"id of the user or API key that created it"`
	GPUType   string   `json:"gpuType,omitempty"`
	Sort      string   `json:"sort,omitempty" jsonschema:"default: -createdAt; prefix - for descending"`
	paging
}

type deploymentInput struct {
	DeploymentID string `json:"deploymentId" jsonschema:"dep_…, from list_deployments or deploy"`
}

type getDeploymentInput struct {
	deploymentInput
	WaitSeconds int `json:"waitSeconds,omitempty" jsonschema:"wait up to this many seconds, at most 50, until it is running or has ended; default: 0"`
}

type eventsInput struct {
	deploymentInput
	paging
}

type interval struct {
	From time.Time `json:"from,omitzero" jsonschema:"start, RFC 3339"`
	To   time.Time `json:"to,omitzero" jsonschema:"end, RFC 3339; default: now"`
}

// whoamiResult describes the API key.
type whoamiResult struct {
	Key      client.Key `json:"key"`
	CanSpend bool       `json:"canSpend" jsonschema:"whether the tools that spend work with this key"`
	Reason   string     `json:"reason,omitempty" jsonschema:"why they do not work, and what to do"`
}

// maxWait is how long get_deployment waits at most, in seconds: less than toolTimeout.
const maxWait = 50

// addReading adds the tools that change nothing.
func (s *session) addReading(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "whoami", title: "Show the API key",
		text: "Show the API key in use: account, scopes, spending limits, how much of them is used, and whether " +
			"the tools that spend work with it. Call it first, and after KEY_LIMIT_REACHED.",
	}, s.whoami)
	s.addOfferTools(server)
	s.addMarketTools(server)
	s.addDeploymentTools(server)
	s.addAccountTools(server)
}

func (s *session) whoami(ctx context.Context, _ noInput) (*whoamiResult, error) {
	k, err := s.Client.Key.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &whoamiResult{Key: *k, CanSpend: true}
	if r := checkLimits(k); r != nil {
		out.CanSpend, out.Reason = false, r.Message+" "+r.Hint
	}
	return out, nil
}

func (s *session) addOfferTools(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "list_offers", title: "List offers",
		text: "List GPU machines that can be deployed now, cheapest first, with live price and stock. Use it to " +
			"choose an offerId.",
		enums: map[string][]string{
			"instanceType": append(texts(client.InstanceTypes()), "DEDICATED"), // an alias of VM
			"sort":         upAndDown(client.OfferSortKeys()),
		},
	}, s.listOffers)
	addTool(server, toolSpec{
		name: "get_offer", title: "Get an offer",
		text: "Get an offer: processor, memory, storage, operating systems, minimum runtime, the provider's " +
			"capabilities, and the launch success rate. Use it before a quote.",
	}, func(ctx context.Context, in offerInput) (*client.Offer, error) {
		return s.Client.Offers.Get(ctx, in.OfferID)
	})
	addTool(server, toolSpec{
		name: "price_history", title: "Get a price history",
		text: "Get an offer's price and availability over the last days. Use it to judge whether now is a good time.",
	}, s.priceHistory)
	addTool(server, toolSpec{
		name: "check_capacity", title: "Check capacity",
		text: "Check whether several machines are available now, and get their total price. Nothing is reserved.",
	}, s.checkCapacity)
}

func (s *session) listOffers(ctx context.Context, in listOffersInput) (*listed[offer], error) {
	q := client.OfferQuery{
		Paging: in.of(), Search: in.Search, GPUCount: in.GPUCount, MinGPUCount: in.MinGPUCount,
		MaxHourlyPrice: in.MaxHourlyPrice, Provider: in.Provider, Region: in.Region,
		InstanceType: client.InstanceType(in.InstanceType), Sort: in.Sort,
	}
	if !in.SoldOut {
		q.Available = new(true)
	}
	p, err := s.Client.Offers.List(ctx, q)
	return page(p, err, offerSummary)
}

func (s *session) priceHistory(ctx context.Context, in historyInput) (*client.PriceHistory, error) {
	if in.Days <= 0 {
		in.Days = 7
	}
	from := s.Now().AddDate(0, 0, -min(in.Days, 90))
	return s.Client.Offers.PriceHistory(ctx, in.OfferID, client.PriceHistoryQuery{From: from})
}

func (s *session) checkCapacity(ctx context.Context, in capacityInput) (*capacity, error) {
	got, err := s.Client.Offers.Check(ctx, client.CheckOffers{
		Count: in.Count, GPUType: in.GPUType, GPUCount: in.GPUCount,
		Provider: in.Provider, Regions: in.Regions, MaxHourlyPrice: in.MaxHourlyPrice,
	})
	if err != nil {
		return nil, err
	}
	out := &capacity{
		Enough: got.Enough, Found: got.Found, Certain: got.Certain, TotalHourlyPrice: got.TotalHourlyPrice,
		Offers: make([]share, len(got.Offers)), Shortfalls: append([]client.Shortfall{}, got.Shortfalls...),
	}
	for i, o := range got.Offers {
		out.Offers[i] = share{offerSummary(o.Offer), o.Count}
	}
	return out, nil
}

func (s *session) addDeploymentTools(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "list_deployments", title: "List deployments",
		text: "List the account's machines, newest first, with status, total cost and auto-terminate time.",
		enums: map[string][]string{
			"status": texts(client.DeploymentStatuses()), "sort": upAndDown(client.DeploymentSortKeys()),
		},
	}, s.listDeployments)
	addTool(server, toolSpec{
		name: "get_deployment", title: "Get a deployment",
		text: "Get a machine: status and reason, progress, SSH command and host keys, cost, auto-terminate time. " +
			"With waitSeconds it waits until the machine runs; use that instead of calling it repeatedly.",
	}, s.getDeployment)
	addTool(server, toolSpec{
		name: "deployment_events", title: "List events of a deployment",
		text: "List the events of a machine, oldest first. Use it to find out why something failed.",
	}, func(ctx context.Context, in eventsInput) (*listed[deploymentEvent], error) {
		p, err := s.Client.Deployments.Events(ctx, in.DeploymentID, in.of())
		return page(p, err, func(e client.Event) deploymentEvent {
			return deploymentEvent{e.ID, e.Type, e.Data, e.CreatedAt}
		})
	})
	addTool(server, toolSpec{
		name: "can_terminate", title: "Preview termination",
		text: "Preview the termination of a machine: the refund, or why it is too early. terminate needs the " +
			"confirmToken that it returns. Terminating deletes everything on the machine's local disks.",
	}, s.canTerminate)
}

func (s *session) listDeployments(ctx context.Context, in listDeploymentsInput) (*listed[machine], error) {
	q := client.DeploymentQuery{
		Paging:    in.of(),
		Search:    in.Search,
		Tag:       in.Tag,
		Project:   in.Project,
		CreatedBy: in.CreatedBy,
		GPUType:   in.GPUType,
		Sort:      in.Sort,
	}
	for _, status := range in.Status {
		q.Statuses = append(q.Statuses, client.DeploymentStatus(status))
	}
	p, err := s.Client.Deployments.List(ctx, q)
	return page(p, err, machineSummary)
}

func (s *session) getDeployment(ctx context.Context, in getDeploymentInput) (*client.Deployment, error) {
	if in.WaitSeconds <= 0 {
		return s.Client.Deployments.Get(ctx, in.DeploymentID)
	}
	limited, cancel := context.WithTimeout(ctx, time.Duration(min(in.WaitSeconds, maxWait))*time.Second)
	defer cancel()
	d, err := s.Client.Deployments.WaitForRunning(limited, in.DeploymentID, nil)
	if gone, is := errors.AsType[*client.DeploymentEndedError](err); is {
		return gone.Deployment, nil
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return s.Client.Deployments.Get(ctx, in.DeploymentID)
	}
	return d, err
}

// upAndDown returns every key, and with a leading hyphen for descending order.
func upAndDown(keys []string) []string {
	var all []string
	for _, k := range keys {
		all = append(all, k, "-"+k)
	}
	return all
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
