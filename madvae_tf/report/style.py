"""The page's style sheet: system fonts, light and dark, phone, desktop and A4."""

CSS = """
:root{color-scheme:light dark;--ink:#17202b;--soft:#46525f;--line:#cdd5dd;--page:#fff;--card:#f5f7fa;
--accent:#0b5c95;--warn:#8a3b00;--warnbg:#fdeedd;--hit:0 114 178;--miss:222 110 20}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#b3bfca;--line:#3a444e;--page:#14191f;
--card:#1d242c;--accent:#7cc0ee;--warn:#ffc48c;--warnbg:#3b2710;--hit:30 130 200;--miss:214 105 25}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font-size:1.7rem;line-height:1.2;margin:.4rem 0 .8rem}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.5rem 0;max-width:46rem}
a{color:var(--accent)}
sub{line-height:0}
code,pre{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;white-space:pre-wrap}
.note,.warn{border-left:4px solid var(--accent);background:var(--card);padding:.6rem .9rem;margin:.9rem 0;
border-radius:0 6px 6px 0;max-width:46rem}
.warn{border-color:var(--warn);background:var(--warnbg);color:var(--warn)}
.warn ul{margin:.3rem 0;padding-left:1.2rem}
.pipeline{display:grid;grid-template-columns:minmax(0,24rem) minmax(0,1fr);gap:1.5rem 2rem;align-items:start}
.pipeline svg{width:100%;height:auto;display:block}
dl{margin:0}
dt{font-weight:600;margin-top:.7rem}
dd{margin:0;color:var(--soft);overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:0 1.5rem}
.config{columns:18rem;column-gap:1.5rem;font-size:.82rem;padding:0;margin:.4rem 0;list-style:none}
.config li{break-inside:avoid;overflow-wrap:anywhere}
.config b{font-weight:400;color:var(--soft)}
.scroll{overflow-x:auto;margin:.4rem 0 .8rem;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}
.caption{color:var(--soft);font-size:.86rem;margin:1.2rem 0 0}
.caption b{color:var(--ink)}
#table1-caption{max-width:none}
th,td{border-bottom:1px solid var(--line);padding:.4rem .5rem;text-align:left;vertical-align:top}
thead th{vertical-align:bottom;border-bottom:2px solid var(--line)}
tfoot th,tfoot td{border-top:2px solid var(--line)}
.detail{display:block;font-weight:400;color:var(--soft);font-size:.92em}
.interval,.none{color:var(--soft);white-space:nowrap}
i{font-style:normal;color:var(--soft)}
strong.value{font-weight:800}
.cards td>span,.grid td>span,.points,.seeds{display:block;line-height:1.4}
.cards .accuracy{font-size:1.06rem}
.cards .accuracy .interval,.cards .agreement,.cards .paper{font-size:.8rem}
.cards .interval{display:block}
.cards .agreement{margin-top:.3rem}
.cards .paper{display:block;color:var(--ink);margin-top:.15rem}
.cards th:first-child{min-width:9rem;max-width:12rem}
.seeds{font-size:.75rem;white-space:normal;color:var(--soft)}
.seeds span,.cards .agreement{white-space:nowrap}
.points{font-size:.8rem;font-weight:600}
.grid th,.grid td{padding:.4rem .34rem}
.grid th:first-child{min-width:9rem;max-width:14rem;padding-left:0}
.grid .agreement{white-space:nowrap}
.grid thead th .detail{font-size:.85em}
.grid .accuracy{font-size:.95rem}
.grid .interval,.grid .paper{display:block}
.grid .interval,.grid .agreement,.grid .paper,.grid td .detail{font-size:.73rem}
.grid .interval{letter-spacing:-.01em}
#table4{max-width:44rem}
.grid .paper{color:var(--ink)}
.notes>div{max-width:46rem}
.confusion{table-layout:fixed;max-width:46rem;font-size:.8rem}
.confusion th,.confusion td{text-align:right;padding:.3rem .3rem}
.confusion th:first-child{width:6.4rem;text-align:left;position:sticky;left:0;background:var(--page)}
.confusion .hit{background:rgb(var(--hit)/var(--s));font-weight:600}
.confusion .miss{background:rgb(var(--miss)/var(--s))}
figure{margin:1rem 0;max-width:38rem}
figure img{display:block;width:100%;height:auto;background:#fff;border:1px solid var(--line);border-radius:6px}
figcaption{color:var(--soft);font-size:.86rem;margin-top:.4rem}
figcaption b{color:var(--ink)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:0 1.5rem}
.use,.missing{color:var(--warn);font-weight:600}
.use{color:var(--accent)}
.bar{display:block;height:.75rem;min-width:2px;background:var(--accent);border-radius:2px;margin-top:.25rem}
#stages td:nth-child(4){width:32%;min-width:5rem}
.downloads{margin:.15rem 0 0;font-size:.8rem}
.downloads a{margin-right:.6rem}
a:focus-visible,button:focus-visible,select:focus-visible,.scroll:focus-visible{outline:3px solid var(--accent);
outline-offset:2px}
.sort{font:inherit;font-weight:inherit;color:inherit;background:none;border:0;padding:0;text-align:inherit;cursor:pointer}
.sort::after{content:"\\a0↕";color:var(--soft);font-size:.8em}
.sort:hover{color:var(--accent)}
[aria-sort=ascending] .sort::after{content:"\\a0↑";color:var(--accent)}
[aria-sort=descending] .sort::after{content:"\\a0↓";color:var(--accent)}
.sort-list{display:none}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);margin:0}
select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--soft);border-radius:6px;padding:.3rem .4rem;
max-width:100%}
.picks{display:flex;flex-wrap:wrap;gap:.5rem 1.2rem;margin:.6rem 0}
.trio{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.8rem;max-width:38rem}
.trio figure{margin:0}
.trio canvas{display:block;width:100%;height:auto;image-rendering:pixelated;background:#000;border:3px solid var(--line);
border-radius:6px}
.trio .wrong canvas{border-color:rgb(var(--miss))}
.trio .answer{display:block}
.trio .wrong .answer{color:var(--warn);font-weight:600}
#explorer-probabilities{max-width:38rem;margin-top:.8rem;table-layout:fixed}
#explorer-probabilities th:first-child{width:4.5rem}
#explorer-probabilities caption{caption-side:bottom;text-align:left;color:var(--soft);padding-top:.4rem}
#explorer-probabilities th,#explorer-probabilities td{padding:.12rem .5rem}
#explorer-probabilities td{background:linear-gradient(to right,rgb(var(--hit)/.35) calc(100%*var(--p,0)),transparent 0)}
#explorer-probabilities .top{font-weight:700}
.truth th::after{content:" ●";color:var(--accent)}
.curve svg{display:block;width:100%;height:auto}
.curve text{font-size:14px;fill:var(--ink)}
.curve .rule{stroke:var(--line)}
.curve-line{fill:none;stroke:var(--c);stroke-width:2.2}
.curve .band{fill:var(--c);opacity:.16}
.curve .point circle{fill:var(--c)}
.curve .point .target{fill:transparent}
.curve .point:focus{outline:none}
.curve .point.shown circle:not(.target),.curve .point:focus circle:not(.target){stroke:var(--ink);stroke-width:3}
.curve .keys{list-style:none;padding:0;margin:.3rem 0;font-size:.82rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem}
.curve .keys svg{display:inline-block;width:34px;vertical-align:middle}
.curve output{display:block;min-height:1.6em;font-size:.86rem}
@media screen and (max-width:640px){
.sort-list{display:block;font-size:.86rem;margin:.4rem 0}
.cards thead .sort{display:none}
.downloads a{display:inline-block;padding:.35rem .6rem .35rem 0}
.trio{gap:.4rem}
h1{font-size:1.4rem}
.pipeline{grid-template-columns:minmax(0,1fr)}
.cards,.cards tbody,.cards tr,.cards th,.cards td{display:block;max-width:none!important}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards tr{border:1px solid var(--line);border-radius:8px;margin-bottom:.9rem;overflow:hidden}
.cards tbody th{background:var(--card);border-bottom:1px solid var(--line);font-size:.95rem}
.cards tr td:last-child{border-bottom:0}
.cards td{display:grid!important;grid-template-columns:6.2rem 1fr;gap:0 .4rem}
.cards td::before{content:attr(data-label);font-weight:600;grid-row:1/span 2;line-height:1.3}
.cards td>*{grid-column:2}
.cards .interval{display:inline}
.cards .agreement{margin-top:0;white-space:normal}
.cards .paper{margin-top:0}
.cards tbody td{padding:.35rem .4rem}
.cards td::before{font-size:.8rem}
.cards .agreement,.cards .paper,.cards .accuracy .interval{font-size:.75rem}
/* The answer is seen without scrolling. */
#result-section{display:flex;flex-direction:column}
#result-section>*{order:2}
#result-section>h2{order:0}
#result-section>.answer{order:1}
table{font-size:.8rem}
.interval{font-size:.92em}
#attacks th:first-child{width:45%}
th,td{padding:.35rem .25rem}
#result th:first-child{min-width:5.2rem;overflow-wrap:normal}
#result .interval{white-space:normal}
.grid th:first-child{position:sticky;left:0;background:var(--page);min-width:7rem;max-width:8.5rem;overflow-wrap:anywhere}
.confusion{font-size:.66rem}
.confusion th,.confusion td{padding:.3rem .12rem}
.confusion th:first-child{width:3.3rem}
.confusion tfoot td{writing-mode:vertical-rl;text-align:left}
#stages th:nth-child(4),#stages td:nth-child(4){display:none}
}
@page{size:A4;margin:14mm}
@media print{
body{font-size:9.5pt}
main{max-width:none;padding:0}
h2,h3{break-after:avoid}
h2{margin-top:1.4rem}
figure,.captioned,tr,.note,.warn,.pipeline,dl>div,.config li{break-inside:avoid}
p{orphans:3;widows:3}
.scroll{overflow:visible}
th,td{padding:.22rem .4rem}
table{font-size:7.8pt}
.cards .accuracy{font-size:9pt}
.cards .accuracy .interval,.cards .agreement,.cards .paper{font-size:7pt}
.cards th:first-child{min-width:7rem}
.cards td,.cards th{padding:.22rem .35rem}
.grid th:first-child{min-width:6rem}
.grid td{min-width:0}
.grid .accuracy{font-size:8.4pt}
.grid .interval,.grid .agreement,.grid .paper,.grid td .detail,.seeds,.points{font-size:6.4pt}
.confusion{width:100%;font-size:7.4pt}
.confusion th,.confusion td{padding:.1rem .25rem}
figure{max-width:84mm;margin:.6rem 0}
.gallery{grid-template-columns:1fr 1fr;gap:0 5mm}
.pipeline{grid-template-columns:58mm 1fr;font-size:8.5pt}
.pipeline dt{margin-top:.35rem}
.downloads,.sort-list,.sort::after,.picks,.curve output{display:none}
.hit,.miss,.bar,.note,.warn,#explorer-probabilities td{-webkit-print-color-adjust:exact;print-color-adjust:exact}
a{color:inherit;text-decoration:none}
}
"""
