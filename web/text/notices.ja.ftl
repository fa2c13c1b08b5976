# 通知の言葉 (メール、Webhook、管理画面)。
# キーは notices.en.ftl と同じです。試験で確かめます。

# メールと Webhook / mail and webhooks
notice-subject = 【関守】{ $what } - { $facility }
notice-about = { $what }: { $facts }
notice-line = { $label }: { $value }
notice-label-at = 時刻
notice-label-by = 行った人
notice-label-facility = 施設
notice-label-link = 管理画面
notice-label-person = 対象の人
notice-label-app = アプリ
notice-label-device = 端末
notice-label-provider = 認証先
notice-label-version = 版
notice-foot = この通知には、患者番号も、人が書いた文も入っていません。詳しくは管理画面で見てください。
notice-label-grant = 番号
notice-label-begin = 開始
notice-label-end = 終了
notice-label-reason = 理由の区分
notice-label-due = 期限
notice-label-verdict = 確認の結果
notice-event-glass-broken = 緊急アクセスが使われました
notice-event-glass-reviewed = 緊急アクセスが確認されました
notice-event-grant-requested = 保守作業の申請がありました
notice-event-grant-approved = 保守作業が承認されました
notice-event-grant-admitted = 緊急の保守作業を、承認の前に開始させました
notice-event-grant-refused = 保守作業の申請が却下されました
notice-event-grant-withdrawn = 保守作業の申請が取り下げられました
notice-event-grant-ended = 時間前に終了させました
notice-event-grant-reported = 保守作業の報告がありました
notice-event-grant-confirmed = 保守作業の報告が確認されました
notice-event-trial = 通知の試験です
notice-event-person-disabled = 利用者を無効にしました
notice-event-device-revoked = 端末を失効しました
notice-event-policy-proposed = 設定の新しい版が提案されました
notice-event-policy-approved = 設定の版が承認されました
notice-event-outage-began = 認証先が停止しています
notice-event-outage-ended = 認証先が復帰しました

# 管理画面 / the console
console-notices = 通知
console-notices-title = 通知の結果
console-notices-lead = 誰に何を知らせたか。届かないものは、届くまで、または一日のあいだ、繰り返し送ります。
console-notices-none = 通知先が設定されていません。設定ファイルの [[notice]] に書きます。
console-notices-receivers = 通知先
console-notices-name = 名前
console-notices-to = あて先
console-notices-sent = 届いた数
console-notices-given-up = 届かなかった数
console-notices-last = 最後に届いた時刻
console-notices-results = 最近の通知
console-notices-results-none = まだ何も知らせていません。
console-notices-event = 出来事
console-notices-happened = 起きた時刻
console-notices-result = 結果
console-notices-known = 結果の時刻
console-notices-attempts = 試した回数
console-notices-is-well = 届いています
console-notices-is-new = まだ何もありません
console-notices-is-waiting = 届いていません
console-notices-is-sent = 届きました
console-notices-is-given-up = 届きませんでした
console-notices-is-unreadable = 状態を読めません
console-tile-notices = 届かない通知
console-tile-notices-note = 通知先に届いていません
