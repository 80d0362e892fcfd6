import { expect, it } from 'vitest'
import { escapeHtml, html } from './html.js'

it('text is escaped in elements and in quoted attributes', () => {
  const hostile = `"><script>alert('1')</script>&\``
  expect(html`<a title="${hostile}">${hostile}</a>`.markup).toBe(
    `<a title="${escapeHtml(hostile)}">${escapeHtml(hostile)}</a>`,
  )
  expect(escapeHtml(hostile)).toBe('&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&#96;')
})

it('markup within markup is escaped once, lists go one after another, and nothing is nothing', () => {
  const items = ['<', 'b'].map((item) => html`<b>${item}</b>`)
  const { markup } = html`${items}${undefined}${null}${false}${0}`
  expect(markup).toBe('<b>&lt;</b><b>b</b>0')
})
