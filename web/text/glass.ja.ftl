# 緊急アクセスの言葉 (拒否の画面、画面の上の帯、管理画面)。
# キーは glass.en.ftl と同じです。試験で確かめます。

# 拒否の画面 / the page of a refusal
glass-offer-title = 緊急アクセスで開く
glass-offer-patient = この患者さんの記録だけが開きます。どの患者さんのものでもない画面も開きます。
glass-offer-app = 患者さんも病棟も一つに決まらないため、「{ $app }」のうち、緊急時に認められている範囲が開きます。
glass-offer-ward = { $ward }の患者さんの記録だけが開きます。どの患者さんのものでもない画面も開きます。
glass-offer-reason = 理由の区分
glass-offer-words = 状況
glass-offer-button = 緊急アクセスで開く
glass-offer-span = { $minutes }分で自動的に終わります。使ったことは、すぐに担当者へ知らされ、{ $hours }時間以内に確認されます。
glass-offer-seen = 見たもの、したことは、すべて記録に残ります。

# 帯 / the strip
glass-strip-title = 緊急アクセス中
glass-strip = 「{ $app }」 残り{ $minutes }分 ({ $until }まで)
glass-strip-ward = 「{ $app }」 { $ward } 残り{ $minutes }分 ({ $until }まで)
glass-strip-end = 終える
glass-strip-end-label = 「{ $app }」の緊急アクセスを終える
glass-ended-title = 緊急アクセスを終えました
glass-ended = 開いていたものも、すべて終わりました。
glass-again-title = 緊急アクセスを始めました
glass-again = 前の画面に戻って、もう一度操作してください。拒否された操作は、まだ行われていません。
glass-not-broken-title = 緊急アクセスは始まっていません
glass-not-broken-do = 前の画面に戻ってやり直すか、院内の緊急時の手順に切り替えてください。
glass-refused-vendor = 業者の担当者には、緊急アクセスは使えません。
glass-refused-overdue = 前に使った緊急アクセスの確認が、期限を過ぎても済んでいません。確認が済むまで、新しく始められません。
glass-refused-words = 理由の区分と状況の両方が要ります。
glass-refused-too-large = 状況の文が長すぎます。
glass-refused-not-offered = この画面は、緊急アクセスでも開けません。

# 確認 / reviews
glass-verdict-justified = 必要だった
glass-verdict-ask = 本人に聞く
glass-verdict-unjustified = 不適切だった
console-glass = 緊急アクセス
console-glass-title = 緊急アクセスの確認
console-glass-lead = 使われた緊急アクセスは、使った人とは別の人が、期限までに一件ずつ確認します。
console-glass-list = 使われた緊急アクセス
console-glass-none = 緊急アクセスは使われていません。
console-glass-show = 表示
console-glass-unfinished = 確認が済んでいないもの
console-glass-all = すべて
console-glass-at = 使った時刻
console-glass-who = 使った人
console-glass-app = アプリ
console-glass-reason = 理由の区分
console-glass-due = 確認の期限
console-glass-state = 状態
console-glass-is-in-force = 使用中
console-glass-is-open = 確認待ち
console-glass-is-late = 期限切れ
console-glass-is-reviewed = 確認済み
console-glass-page = { $who }さんの緊急アクセス
console-glass-facts = 内容
console-glass-id = 番号
console-glass-words = 状況
console-glass-patient = 患者番号または病棟
console-glass-patient-none = 決まっていません(アプリのうち認められた範囲)
console-glass-patient-forgotten = 確認のあとはここに残していません。患者番号があれば、記録(ログ)にあります
console-glass-ward = 病棟 { $ward }
console-glass-span = 時間
console-glass-ended-by = 終えた人
console-glass-verdict = 確認の結果
console-glass-reviewed-by = 確認した人
console-glass-comment = コメント
console-glass-done-title = この間にしたこと
console-glass-done-none = 記録はありません。
console-glass-done-at = 時刻
console-glass-done-act = 操作
console-glass-done-path = 場所
console-glass-done-patients = 患者番号
console-glass-done-cut = 多いため、はじめのものだけを示します。全部は記録の検索で見られます。
console-glass-review = 確認する
console-glass-review-lead = 使う必要があったか、したことが理由に見合うかを確かめます。確認は一度だけで、取り消せません。
console-glass-review-button = 確認として残す
console-glass-end = 今すぐ終わらせる
console-glass-end-what = 開いているものも、すべて終わります。
console-glass-own = 自分の緊急アクセスは、ほかの人が確認します。
console-glass-not-reviewer = 確認できるのは、確認の役割を持つ人だけです。
console-glass-problem-verdict = 結果を選び、コメントを書いてください。
console-glass-problem-not-now = ほかの人がすでに確認したか、もう終わっています。
console-glass-problem-right = 確認の役割がなくなったか、自分の緊急アクセスです。
console-done-glass-reviewed = 確認として残しました。
console-done-glass-ended = 終わらせました。
console-tile-glass = 緊急アクセスの確認待ち
console-tile-glass-note = 期限を過ぎると赤くなります

# 記録の出来事 / events of the log
console-event-grant-requested = 保守作業の申請
console-event-grant-overdue = 承認・報告・確認の期限切れ
console-event-grant-approved = 保守作業の承認
console-event-grant-admitted = 承認前の緊急の入室許可
console-event-grant-refused = 保守作業の却下
console-event-grant-withdrawn = 保守作業の取り下げ
console-event-grant-ended = 例外を時間前に終了
console-event-grant-reported = 保守作業の報告
console-event-grant-confirmed = 保守作業の報告を確認
console-event-glass-broken = 緊急アクセスを使用
console-event-glass-reviewed = 緊急アクセスを確認
console-event-emergency-ended = 緊急アクセスが終了
console-event-vendor-session-began = 保守作業の時間が開始
console-event-vendor-session-ended = 保守作業の時間が終了
console-event-inventory-changed = 保守台帳を変更
