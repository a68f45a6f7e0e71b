package voltageparktest

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

const shareTakes = 5 * time.Second

// share is an NFS share.
type share struct {
	id, name string
	sizeGB   int64
	orders   []string
	made     time.Time
}

var shareName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

func (c *Cloud) getRate(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"hourly_rate_per_gb": "0.000109"})
}

func (c *Cloud) body(s *share) map[string]any {
	status := "active"
	if c.Clock.Now().Sub(s.made) < shareTakes {
		status = "inactive"
	}
	return map[string]any{
		"id": s.id, "size_in_gb": s.sizeGB, "name": s.name, "status": status, "rate_hourly": "0.010900",
		"order_ids": append([]string{}, s.orders...), "tenant_id": 7, "vip": "10.9.0.5",
	}
}

func (c *Cloud) getShares(w http.ResponseWriter, r *http.Request) {
	all := []any{}
	for _, s := range c.shares {
		all = append(all, c.body(s))
	}
	list(w, r, all)
}

// wrong checks the fields of create and change, and answers where one is invalid.
func (c *Cloud) wrong(w http.ResponseWriter, self *share, name *string, sizeGB *int64, orders *[]string) bool {
	switch {
	case name != nil && (len(*name) > 60 || !shareName.MatchString(*name)):
		invalid(w, "name", "String should match the pattern")
	case sizeGB != nil && *sizeGB < 1:
		invalid(w, "size_in_gb", "Input should be greater than or equal to 1")
	case name != nil && slices.ContainsFunc(c.shares, func(s *share) bool { return s != self && s.name == *name }):
		refuse(w, http.StatusConflict, "A volume of this name exists")
	case orders != nil && slices.ContainsFunc(*orders, func(order string) bool {
		return !slices.ContainsFunc(
			c.machines, func(m *machine) bool { return !m.vm && m.id == order && m.ended.IsZero() },
		)
	}):
		refuse(w, http.StatusBadRequest, "One of the orders is no rental of this organization")
	default:
		return false
	}
	return true
}

func (c *Cloud) postShare(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Name   *string   `json:"name"`
		SizeGB *int64    `json:"size_in_gb"`
		Orders *[]string `json:"order_ids"`
	}
	if !read(w, r, &b, "name", "size_in_gb", "order_ids") || c.wrong(w, nil, b.Name, b.SizeGB, b.Orders) {
		return
	}
	s := &share{id: newID(), name: *b.Name, sizeGB: *b.SizeGB, orders: *b.Orders, made: c.Clock.Now()}
	c.shares = append(c.shares, s)
	reply(w, http.StatusCreated, c.body(s))
}

func (c *Cloud) shareOf(w http.ResponseWriter, r *http.Request) *share {
	s, there := find(c.shares, func(s *share) bool { return s.id == r.PathValue("id") })
	if !there {
		refuse(w, http.StatusNotFound, "Volume not found")
	}
	return s
}

func (c *Cloud) getShare(w http.ResponseWriter, r *http.Request) {
	if s := c.shareOf(w, r); s != nil {
		body := c.body(s)
		body["used_capacity_bytes"] = 0
		reply(w, http.StatusOK, body)
	}
}

// patchShare replaces the orders as a whole. Until then, those of ended rentals remain.
func (c *Cloud) patchShare(w http.ResponseWriter, r *http.Request) {
	s := c.shareOf(w, r)
	if s == nil {
		return
	}
	var b struct {
		Name   *string   `json:"name"`
		SizeGB *int64    `json:"size_in_gb"`
		Orders *[]string `json:"order_ids"`
	}
	if !read(w, r, &b) || c.wrong(w, s, b.Name, b.SizeGB, b.Orders) {
		return
	}
	if b.SizeGB != nil && *b.SizeGB < s.sizeGB {
		refuse(w, http.StatusBadRequest, "A volume cannot shrink")
		return
	}
	if b.Name != nil {
		s.name = *b.Name
	}
	if b.SizeGB != nil {
		s.sizeGB = *b.SizeGB
	}
	if b.Orders != nil {
		s.orders = *b.Orders
	}
	reply(w, http.StatusOK, nil)
}

func (c *Cloud) deleteShare(w http.ResponseWriter, r *http.Request) {
	s := c.shareOf(w, r)
	switch {
	case s == nil:
	case len(s.orders) > 0:
		refuse(w, http.StatusBadRequest, "The volume is attached; detach it first")
	default:
		c.shares = slices.DeleteFunc(c.shares, func(o *share) bool { return o == s })
		w.WriteHeader(http.StatusNoContent)
	}
}
